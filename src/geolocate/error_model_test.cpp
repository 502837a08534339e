#include "geolocate/error_model.hpp"

#include <functional>

#include "geolocate/circular_error.hpp"
#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

using test::camera;
using test::kCentre;
using test::kMaxRangeM;
using test::no_error;

struct Scene {
  Camera eye;
  Pixel pixel;
  Target target;
};

/// The same rays from a place that is `shift` (north-east-down) away: the attitude is re-expressed in the new frame.
Scene shifted(const Scene& scene, Vec3 shift_ned) {
  const Site before = site_at(scene.eye.position);
  Scene moved = scene;
  moved.eye.position = to_geodetic(before.ecef_m + before.ned * shift_ned);
  const Site after = site_at(moved.eye.position);
  const Mat3 camera_to_ned = rotation(scene.eye.attitude);
  const auto turned = [&](Vec3 axis) { return transposed_times(after.ned, before.ned * axis); };
  moved.eye.attitude = attitude_of({turned(camera_to_ned.x), turned(camera_to_ned.y), turned(camera_to_ned.z)});
  return moved;
}

struct Source {
  const char* name;
  double Accuracy::* sigma;
  double unit;  ///< of the sigma set, as in Accuracy
  double step;  ///< of the central difference, in the same unit
  std::function<Scene(const Scene&, double)> moved;
};

std::vector<Source> sources() {
  const auto edit = [](auto change) {
    return [change](const Scene& s, double by) {
      Scene moved = s;
      change(moved, by);
      return moved;
    };
  };
  return {
      {"heading", &Accuracy::heading_deg, 1, 2e-3, edit([](Scene& s, double d) { s.eye.attitude.heading_deg += d; })},
      {"pitch", &Accuracy::pitch_deg, 1, 2e-3, edit([](Scene& s, double d) { s.eye.attitude.pitch_deg += d; })},
      {"roll", &Accuracy::roll_deg, 1, 2e-3, edit([](Scene& s, double d) { s.eye.attitude.roll_deg += d; })},
      {"focal", &Accuracy::focal_percent, 1, 1e-3, edit([](Scene& s, double d) {
         s.eye.lens.fx_px *= 1 + d / 100;
         s.eye.lens.fy_px *= 1 + d / 100;
       })},
      {"vertical", &Accuracy::vertical_m, 1, 1e-2, [](const Scene& s, double d) { return shifted(s, {0, 0, -d}); }},
      {"ground", &Accuracy::ground_m, 1, 1e-2, edit([](Scene& s, double d) { s.target.ground_hae_m += d; })},
      {"range", &Accuracy::slant_range_m, 1, 1e-2, edit([](Scene& s, double d) { s.target.slant_range_m += d; })},
  };
}

LatLonHae point(const Scene& s) {
  const auto fix = locate(s.eye, s.pixel, s.target, no_error(), kMaxRangeM);
  EXPECT_TRUE(fix);
  return fix ? fix->position : LatLonHae{};
}

/// Central difference in east-north-up at the target, per unit.
Vec3 column(const Scene& scene, const std::function<Scene(double)>& moved, double step) {
  const Site site = site_at(point(scene));
  const Vec3 d = to_ecef(point(moved(step))) - to_ecef(point(moved(-step)));
  const Vec3 ned = transposed_times(site.ned, d) * (1 / (2 * step));
  return {ned.y, ned.x, -ned.z};
}

Covariance outer(Vec3 j) {
  return {j.x * j.x, j.y * j.y, j.z * j.z, j.x * j.y, j.x * j.z, j.y * j.z};
}

void expect_same(const Covariance& got, const Covariance& want, const std::string& what) {
  const double scale = want[0] + want[1] + want[2] + 1e-9;
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(got[i], want[i], 4e-5 * scale) << what << " element " << i;
}

Scene random_scene(std::mt19937_64& random, bool by_range, int lens) {
  const double height = std::pow(10, test::uniform(random, 1.5, 4));
  const double ground = test::uniform(random, -100, 3000);
  Scene s{.eye = camera({test::uniform(random, -85, 85), test::uniform(random, -180, 180), ground + height},
                        test::uniform(random, 0, 360), test::uniform(random, -88, -25), test::uniform(random, -20, 20)),
          .pixel = {test::uniform(random, 300, 1600), test::uniform(random, 200, 900)},
          .target = by_range ? Target::at_range(height * 1.5) : Target::at_height(ground)};
  if (lens == 1) {
    s.eye.lens.distortion = {DistortionModel::kBrown, 5, {-0.1, 0.05, 0.001, -0.0005, 0.01}};
  } else if (lens == 2) {
    s.eye.lens.distortion = {DistortionModel::kFisheye, 4, {-0.03, 0.01, -0.004, 0.0006}};
  }
  return s;
}

TEST(ErrorModel, EveryColumnIsACentralDifference) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 200; ++i) {
    const bool by_range = i % 4 == 3;
    const Scene scene = random_scene(random, by_range, i % 3);
    for (const Source& source : sources()) {
      Accuracy accuracy = no_error();
      accuracy.*source.sigma = 1e-3;
      const auto fix = locate(scene.eye, scene.pixel, scene.target, accuracy, kMaxRangeM);
      ASSERT_TRUE(fix) << i;
      ASSERT_FALSE(fix->grazing) << i;
      const Vec3 j = column(scene, [&](double d) { return source.moved(scene, d); }, source.step) * 1e-3;
      expect_same(fix->covariance_enu_m2, outer(j), std::string(source.name) + " of scene " + std::to_string(i));
    }
    const auto two = [&](double Accuracy::* sigma, auto first, auto second, double step) {
      Accuracy accuracy = no_error();
      accuracy.*sigma = 1e-3;
      const auto fix = locate(scene.eye, scene.pixel, scene.target, accuracy, kMaxRangeM);
      ASSERT_TRUE(fix);
      const Covariance a = outer(column(scene, first, step) * 1e-3), b = outer(column(scene, second, step) * 1e-3);
      Covariance sum{};
      for (std::size_t k = 0; k < 6; ++k) sum[k] = a[k] + b[k];
      expect_same(fix->covariance_enu_m2, sum, "scene " + std::to_string(i));
    };
    two(
        &Accuracy::horizontal_m, [&](double d) { return shifted(scene, {d, 0, 0}); },
        [&](double d) { return shifted(scene, {0, d, 0}); }, 1e-2);
    const auto slid = [&](double x, double y) {
      Scene moved = scene;
      moved.pixel.x_px += x;
      moved.pixel.y_px += y;
      return moved;
    };
    two(&Accuracy::pixel_px, [&](double d) { return slid(d, 0); }, [&](double d) { return slid(0, d); }, 1e-2);
  }
}

TEST(ErrorModel, FlatPlaneClosedForm) {
  for (const double depression : {15.0, 30.0, 60.0}) {
    Accuracy a;
    a.roll_deg = a.focal_percent = a.pixel_px = 0;
    const double height = 120, gamma = depression * kRadPerDeg;
    const auto fix = locate(camera({0, 0, height}, 0, -depression), kCentre, Target::at_height(0), a, kMaxRangeM);
    ASSERT_TRUE(fix);
    const double r = fix->slant_range_m, d = r * std::cos(gamma);
    const double along = a.horizontal_m * a.horizontal_m +
                         (a.vertical_m * a.vertical_m + a.ground_m * a.ground_m) / std::pow(std::tan(gamma), 2) +
                         std::pow(r * a.pitch_deg * kRadPerDeg / std::sin(gamma), 2);
    const double across = a.horizontal_m * a.horizontal_m + std::pow(d * a.heading_deg * kRadPerDeg, 2);
    EXPECT_NEAR(fix->covariance_enu_m2[1], along, along * 1e-3);
    EXPECT_NEAR(fix->covariance_enu_m2[0], across, across * 1e-3);
    EXPECT_NEAR(fix->covariance_enu_m2[3], 0, along * 1e-9);
    EXPECT_NEAR(*fix->ce90_m, ce90_of(principal_sigmas(across, along, 0)), 0.002 * *fix->ce90_m);
    EXPECT_NEAR(*fix->le90_m, 1.6448536 * a.ground_m, 1e-6);
  }
}

/// How many of `draws` random errors of the stated sizes leave the point within ce90 of the stated one.
double coverage(const Scene& scene, const Accuracy& a, double ce90_m, int draws, std::mt19937_64& random) {
  const LatLonHae stated = point(scene);
  const Site site = site_at(stated);
  int inside = 0, possible = 0;
  for (int i = 0; i < draws; ++i) {
    Scene s = shifted(scene, {test::normal(random, a.horizontal_m), test::normal(random, a.horizontal_m),
                              test::normal(random, a.vertical_m)});
    s.eye.attitude.heading_deg += test::normal(random, a.heading_deg);
    s.eye.attitude.pitch_deg += test::normal(random, a.pitch_deg);
    s.eye.attitude.roll_deg += test::normal(random, a.roll_deg);
    const double focal = 1 + test::normal(random, a.focal_percent / 100);
    s.eye.lens.fx_px *= focal;
    s.eye.lens.fy_px *= focal;
    s.pixel.x_px += test::normal(random, a.pixel_px);
    s.pixel.y_px += test::normal(random, a.pixel_px);
    if (scene.target.source == PositionSource::kSlantRange) {
      s.target.slant_range_m += test::normal(random, a.slant_range_m);
    } else {
      s.target.ground_hae_m += test::normal(random, a.ground_m);
    }
    const auto fix = locate(s.eye, s.pixel, s.target, no_error(), 1e7);
    // A world in which the camera is under the ground does not exist.
    possible += fix || fix.error() != GeometryError::kCameraBelowTerrain ? 1 : 0;
    if (!fix) continue;
    const Vec3 ned = transposed_times(site.ned, to_ecef(fix->position) - site.ecef_m);
    inside += std::hypot(ned.x, ned.y) < ce90_m ? 1 : 0;
  }
  return static_cast<double>(inside) / possible;
}

TEST(ErrorModel, NineOfTenDrawsFallInsideCe90) {
  std::mt19937_64 random(7);
  constexpr int kDraws = 4000;
  for (const double depression : {12.0, 25.0, 45.0, 80.0}) {
    for (const double height : {60.0, 800.0, 6000.0}) {
      for (const double heading_sigma : {0.2, 2.0, 6.0}) {
        Accuracy a;
        a.heading_deg = heading_sigma;
        Scene scene{
            .eye = camera({47, 8, height}, 200, -depression, 5), .pixel = {700, 600}, .target = Target::at_height(0)};
        if (depression == 25.0) scene.target = Target::at_range(height * 2);
        const auto fix = locate(scene.eye, scene.pixel, scene.target, a, kMaxRangeM);
        ASSERT_TRUE(fix && fix->ce90_m && !fix->grazing);
        // 3.5 sigma of the count, and 0.01 for what is beyond first order.
        EXPECT_NEAR(coverage(scene, a, *fix->ce90_m, kDraws, random), 0.9, 0.027)
            << depression << ' ' << height << ' ' << heading_sigma;
      }
    }
  }
}

TEST(ErrorModel, HonestNearTheHorizon) {
  std::mt19937_64 random(8);
  int bounded = 0, unbounded = 0, grazing = 0;
  for (const double height : {3.0, 30.0, 300.0, 3000.0}) {
    for (double above = 0.05; above < 4; above *= 1.3) {
      Accuracy a;
      Scene scene{.eye = camera({47, 8, height}, 200, 0), .pixel = kCentre, .target = Target::at_height(0)};
      const double dip = std::acos(6371000 / (6371000 + height)) * kDegPerRad;
      scene.eye.attitude.pitch_deg = -(dip + above);
      const auto fix = locate(scene.eye, scene.pixel, scene.target, a, kMaxRangeM);
      ASSERT_TRUE(fix);
      grazing += fix->grazing ? 1 : 0;
      const double sigma = std::hypot(a.pitch_deg, a.pixel_px / 1500 * kDegPerRad);
      if (above < 2.9 * sigma) {
        EXPECT_TRUE(fix->grazing) << height << ' ' << above;
      }
      if (above < 1.55 * sigma) {
        EXPECT_FALSE(fix->ce90_m) << height << ' ' << above;
      }
      if (above > 1.75 * sigma) {
        EXPECT_TRUE(fix->ce90_m) << height << ' ' << above;
      }
      for (const double c : fix->covariance_enu_m2) ASSERT_TRUE(std::isfinite(c));
      if (!fix->ce90_m) {
        ++unbounded;
        continue;
      }
      ++bounded;
      const double covered = coverage(scene, a, *fix->ce90_m, 3000, random);
      EXPECT_GT(covered, 0.85) << height << ' ' << above;
      EXPECT_LT(covered, 0.97) << height << ' ' << above;
    }
  }
  EXPECT_GT(bounded, 10);
  EXPECT_GT(unbounded, 10);
  EXPECT_GT(grazing, bounded / 4);
}

TEST(ErrorModel, UnboundedWhereOneRayInTwentyMisses) {
  const double sigma = std::hypot(0.5, 2.0 / 1500 * kDegPerRad);
  for (const double height : {30.0, 3000.0}) {
    const double dip = std::acos(6371000 / (6371000 + height)) * kDegPerRad;
    for (const double sigmas : {1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0}) {
      const auto fix =
          locate(camera({47, 8, height}, 200, -dip - sigmas * sigma), kCentre, Target::at_height(0), {}, kMaxRangeM);
      ASSERT_TRUE(fix);
      EXPECT_EQ(fix->ce90_m.has_value(), sigmas > 1.645) << height << ' ' << sigmas;
    }
  }
}

TEST(ErrorModel, HorizonMarginIsZeroAtTheHorizonAndTheDepressionOnTheGround) {
  EXPECT_NEAR(horizon_margin(std::sin(0.3), std::sin(0.3)), 0.3, 1e-12);
  EXPECT_NEAR(horizon_margin(std::sin(0.02), 0), 0, 1e-12);
  EXPECT_GE(horizon_margin(0.01, 0.0100001), 0);
}

}  // namespace
}  // namespace detection::geolocate
