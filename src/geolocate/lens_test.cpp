#include "geolocate/lens.hpp"

#include <numbers>

#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

Intrinsics lens_of(const nlohmann::json& camera) {
  Intrinsics lens{.fx_px = camera["fx"], .fy_px = camera["fy"], .cx_px = camera["cx"], .cy_px = camera["cy"]};
  lens.distortion.model = camera.contains("model") ? DistortionModel::kFisheye : DistortionModel::kBrown;
  for (const auto& k : camera["d"]) lens.distortion.coefficients[lens.distortion.count++] = k;
  return lens;
}

TEST(Lens, UndistortsAsOpenCvDoes) {
  int points = 0;
  const auto file = test::vectors("opencv_undistort.json");
  for (const auto& camera : file["cameras"]) {
    const Intrinsics lens = lens_of(camera);
    for (const auto& point : camera["points"]) {
      const Pixel pixel{point["px"][0], point["px"][1]};
      const auto ray = camera_ray(lens, pixel);
      ASSERT_TRUE(ray) << camera["name"] << point;
      const double x = point["undistorted"][0], y = point["undistorted"][1];
      EXPECT_NEAR(ray->direction.y / ray->direction.x, x, 1e-10) << camera["name"] << point;
      EXPECT_NEAR(ray->direction.z / ray->direction.x, y, 1e-10) << camera["name"] << point;
      const auto forward = project(lens, {1, x, y});
      ASSERT_TRUE(forward);
      EXPECT_NEAR(forward->x_px, pixel.x_px, 1e-9) << camera["name"] << point;
      EXPECT_NEAR(forward->y_px, pixel.y_px, 1e-9) << camera["name"] << point;
      ++points;
    }
  }
  EXPECT_EQ(points, 170);
}

Intrinsics with(DistortionModel model, std::initializer_list<double> k) {
  Intrinsics lens{.fx_px = 1000, .fy_px = 1010, .cx_px = 960, .cy_px = 540};
  lens.distortion.model = model;
  for (const double v : k) lens.distortion.coefficients[lens.distortion.count++] = v;
  return lens;
}

TEST(Lens, DerivativesAreThoseOfTheRay) {
  const Intrinsics lenses[] = {
      with(DistortionModel::kNone, {}),
      with(DistortionModel::kBrown, {-0.2, 0.05, 0.001, -0.002}),
      with(DistortionModel::kBrown, {0.12, -0.25, 0.001, -0.0007, 0.08, 0.03, -0.02, 0.01}),
      with(DistortionModel::kFisheye, {-0.03, 0.01, -0.004, 0.0006}),
  };
  constexpr double kStepPx = 1e-3;
  for (const Intrinsics& lens : lenses) {
    for (const Pixel p : {Pixel{960, 540}, Pixel{12, 1000}, Pixel{1500, 541}, Pixel{960, 100}}) {
      const auto ray = camera_ray(lens, p);
      const auto right = camera_ray(lens, {p.x_px + kStepPx, p.y_px}),
                 left = camera_ray(lens, {p.x_px - kStepPx, p.y_px});
      const auto low = camera_ray(lens, {p.x_px, p.y_px + kStepPx}),
                 high = camera_ray(lens, {p.x_px, p.y_px - kStepPx});
      ASSERT_TRUE(ray && right && left && low && high);
      EXPECT_NEAR(norm(ray->direction), 1, 1e-15);
      EXPECT_LT(norm((right->direction - left->direction) * (lens.fx_px / 2 / kStepPx) - ray->per_x), 1e-7);
      EXPECT_LT(norm((low->direction - high->direction) * (lens.fy_px / 2 / kStepPx) - ray->per_y), 1e-7);
    }
  }
}

TEST(Lens, FisheyeSeesBeyondNinetyDegrees) {
  const Intrinsics lens = with(DistortionModel::kFisheye, {0, 0, 0, 0});
  const auto side = camera_ray(lens, {960 + 1000 * std::numbers::pi / 2, 540});
  ASSERT_TRUE(side);
  EXPECT_NEAR(side->direction.x, 0, 1e-12);
  EXPECT_NEAR(side->direction.y, 1, 1e-12);
  const auto behind = camera_ray(lens, {960 + 1000 * 2.5, 540});
  ASSERT_TRUE(behind);
  EXPECT_LT(behind->direction.x, -0.5);
  const auto back = project(lens, behind->direction);
  ASSERT_TRUE(back);
  EXPECT_NEAR(back->x_px, 3460, 1e-9);
  EXPECT_FALSE(camera_ray(lens, {960 + 1000 * 3.2, 540})) << "more than 180 degrees off axis";
}

TEST(Lens, RefusesPixelsWithoutARay) {
  // The image of this lens folds back at r = 1 / sqrt(3 * 0.5): nothing is seen beyond radius 0.544.
  const Intrinsics barrel = with(DistortionModel::kBrown, {-0.5, 0, 0, 0});
  EXPECT_TRUE(camera_ray(barrel, {960 + 530, 540}));
  EXPECT_FALSE(camera_ray(barrel, {960 + 560, 540}));
  EXPECT_FALSE(camera_ray(barrel, {960 + 5000, 540})) << "a root on the far, false branch";
  EXPECT_FALSE(camera_ray(with(DistortionModel::kFisheye, {-0.5, 0, 0, 0}), {960 + 900, 540}));
  Intrinsics needle = with(DistortionModel::kNone, {});
  needle.fx_px = 1e-300;
  EXPECT_FALSE(camera_ray(needle, {1000, 540}));
  EXPECT_FALSE(project(with(DistortionModel::kNone, {}), {-1, 0, 0}));
  EXPECT_FALSE(project(with(DistortionModel::kNone, {}), {0, 1, 0}));
}

TEST(Lens, EveryRayThatIsGivenProjectsBack) {
  std::mt19937_64 random(3);
  int given = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool fisheye = i % 2 == 0;
    const auto k = [&](double size) { return test::uniform(random, -size, size); };
    const Intrinsics lens = fisheye ? with(DistortionModel::kFisheye, {k(1), k(1), k(1), k(1)})
                                    : with(DistortionModel::kBrown, {k(2), k(2), k(.1), k(.1), k(2), k(2), k(2), k(2)});
    const Pixel pixel{test::uniform(random, 0, 1920), test::uniform(random, 0, 1080)};
    const auto ray = camera_ray(lens, pixel);
    if (!ray) continue;
    ++given;
    EXPECT_NEAR(norm(ray->direction), 1, 1e-12);
    const auto back = project(lens, ray->direction);
    ASSERT_TRUE(back);
    EXPECT_NEAR(back->x_px, pixel.x_px, 1e-6);
    EXPECT_NEAR(back->y_px, pixel.y_px, 1e-6);
  }
  EXPECT_GT(given, 5'000);
}

}  // namespace
}  // namespace detection::geolocate
