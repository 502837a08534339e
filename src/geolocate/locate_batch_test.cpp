#include "geolocate/locate_batch.hpp"

#include <limits>

#include "geolocate/batch_kernel.hpp"
#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

struct Columns {
  std::vector<double> lat, lon, hae, heading, pitch, roll, x, y;
  std::vector<Intrinsics> lens;
  std::vector<Target> target;
  std::vector<Accuracy> accuracy;

  void add(const Camera& c, Pixel p, const Target& t, const Accuracy& a) {
    lat.push_back(c.position.lat_deg);
    lon.push_back(c.position.lon_deg);
    hae.push_back(c.position.hae_m);
    heading.push_back(c.attitude.heading_deg);
    pitch.push_back(c.attitude.pitch_deg);
    roll.push_back(c.attitude.roll_deg);
    lens.push_back(c.lens);
    x.push_back(p.x_px);
    y.push_back(p.y_px);
    target.push_back(t);
    accuracy.push_back(a);
  }
  [[nodiscard]] BatchItems items() const { return {lat, lon, hae, heading, pitch, roll, lens, target, accuracy, x, y}; }
  [[nodiscard]] Camera camera(std::size_t i) const {
    return {{lat[i], lon[i], hae[i]}, {heading[i], pitch[i], roll[i]}, lens[i]};
  }
};

struct Rows {
  explicit Rows(std::size_t n) : status(n, 77), grazing(n), numbers(13, std::vector<double>(n, -1)) {}
  std::vector<std::uint8_t> status, grazing;
  std::vector<std::vector<double>> numbers;
  BatchFixes view() {
    return {status,
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            numbers[4],
            {numbers[5], numbers[6], numbers[7], numbers[8], numbers[9], numbers[10]},
            numbers[11],
            numbers[12],
            grazing};
  }
};

Columns mixed(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Columns columns;
  for (std::size_t i = 0; i < count; ++i) {
    const double ground = test::uniform(random, -400, 4000);
    const double height = std::pow(10, test::uniform(random, 0, 5));
    const bool polar = i % 17 == 0, odd = i % 13 == 5;
    Camera c =
        test::camera({polar ? test::uniform(random, 89.9, 90) : test::uniform(random, -90, 90),
                      test::uniform(random, -180, 180), ground + height},
                     test::uniform(random, -360, 360), test::uniform(random, -95, 3), test::uniform(random, -180, 180));
    Accuracy a;
    a.pitch_deg = test::uniform(random, 0, 1);
    Target t = i % 2 ? Target::at_height(ground) : Target::above_ground(ground);
    if (odd) {
      switch (i % 7) {
        case 0: c.position.lat_deg = std::numeric_limits<double>::quiet_NaN(); break;
        case 1: t = Target::at_range(height * 2); break;
        case 2: c.lens.distortion = {DistortionModel::kBrown, 5, {-0.1, 0.05, 0.001, -0.0005, 0.01}}; break;
        case 3: c.position.hae_m = ground - 10; break;
        case 4: c.lens.fx_px = std::numeric_limits<double>::infinity(); break;
        case 5: a.heading_deg = -1; break;
        default: c.position.hae_m = ground; break;
      }
    }
    columns.add(c, {test::uniform(random, 0, 1920), test::uniform(random, 0, 1080)}, t, a);
  }
  return columns;
}

void expect_same_as_single(const Columns& in, Rows& out, double max_range_m) {
  const auto view = out.view();
  for (std::size_t i = 0; i < in.x.size(); ++i) {
    const auto fix = locate(in.camera(i), {in.x[i], in.y[i]}, in.target[i], in.accuracy[i], max_range_m);
    ASSERT_EQ(view.status[i], fix ? kBatchLocated : static_cast<std::uint8_t>(fix.error())) << i;
    if (!fix) {
      for (const auto& column : out.numbers) ASSERT_EQ(column[i], 0) << i;
      continue;
    }
    const LatLonHae at{view.lat_deg[i], view.lon_deg[i], view.hae_m[i]};
    ASSERT_LT(test::distance_m(at, fix->position), 1e-6) << i;
    ASSERT_EQ(view.hae_m[i], fix->position.hae_m) << i;
    ASSERT_NEAR(view.slant_range_m[i], fix->slant_range_m, 1e-6) << i;
    ASSERT_NEAR(view.grazing_deg[i], fix->grazing_deg, 1e-7) << i;
    ASSERT_EQ(view.grazing[i] != 0, fix->grazing) << i;
    const double scale = fix->covariance_enu_m2[0] + fix->covariance_enu_m2[1] + fix->covariance_enu_m2[2];
    for (std::size_t c = 0; c < 6; ++c) {
      ASSERT_NEAR(view.covariance_enu_m2[c][i], fix->covariance_enu_m2[c], 1e-9 * scale) << i << ' ' << c;
    }
    ASSERT_EQ(view.ce90_m[i] == kUnboundedM, !fix->ce90_m) << i;
    if (fix->ce90_m) {
      ASSERT_NEAR(view.ce90_m[i], *fix->ce90_m, std::max(1e-6, 1e-8 * *fix->ce90_m)) << i;
    }
    ASSERT_EQ(view.le90_m[i] == kUnboundedM, !fix->le90_m) << i;
    if (fix->le90_m) {
      ASSERT_NEAR(view.le90_m[i], *fix->le90_m, 1e-9) << i;
    }
  }
}

class BatchPaths : public testing::TestWithParam<VectorUnits> {};

TEST_P(BatchPaths, SameAnswersAsTheSingleForm) {
  for (const std::size_t count : {1u, 63u, 64u, 65u, 4000u}) {
    const Columns in = mixed(count, 9 + count);
    Rows out(count);
    ASSERT_TRUE(locate_batch(in.items(), 200'000, out.view(), GetParam()));
    expect_same_as_single(in, out, 200'000);
  }
}

TEST_P(BatchPaths, AnalyticVectors) {
  Columns in;
  const auto rays = test::vectors("analytic_wgs84.json")["rays"];
  for (const auto& ray : rays) {
    in.add(test::camera(test::place(ray["sensor"]), ray["az_deg"], -ray["depression_deg"].get<double>()), test::kCentre,
           Target::at_height(ray["surface_hae_m"]), {});
  }
  Rows out(rays.size());
  const auto view = out.view();
  ASSERT_TRUE(locate_batch(in.items(), test::kMaxRangeM, view, GetParam()));
  for (std::size_t i = 0; i < rays.size(); ++i) {
    const bool hit = rays[i]["status"] == "hit";
    ASSERT_EQ(view.status[i] == kBatchLocated, hit) << rays[i]["name"];
    if (!hit) continue;
    EXPECT_LT(norm(to_ecef({view.lat_deg[i], view.lon_deg[i], view.hae_m[i]}) - test::vec3(rays[i]["ecef"])), 1e-6)
        << rays[i]["name"];
  }
}

TEST_P(BatchPaths, OnePoseForManyPixels) {
  const Camera c = test::camera({48, 11, 900}, 123, -40, 7);
  const Target target = Target::at_height(500);
  const Accuracy accuracy;
  Columns each;
  std::vector<double> x, y;
  for (std::size_t i = 0; i < 1024; ++i) {
    x.push_back(static_cast<double>(i % 32) * 60);
    y.push_back(static_cast<double>(i / 32) * 33);
    each.add(c, {x[i], y[i]}, target, accuracy);
  }
  const BatchItems one{.lat_deg = {&c.position.lat_deg, 1},
                       .lon_deg = {&c.position.lon_deg, 1},
                       .hae_m = {&c.position.hae_m, 1},
                       .heading_deg = {&c.attitude.heading_deg, 1},
                       .pitch_deg = {&c.attitude.pitch_deg, 1},
                       .roll_deg = {&c.attitude.roll_deg, 1},
                       .lens = {&c.lens, 1},
                       .target = {&target, 1},
                       .accuracy = {&accuracy, 1},
                       .x_px = x,
                       .y_px = y};
  Rows out(1024);
  ASSERT_TRUE(locate_batch(one, test::kMaxRangeM, out.view(), GetParam()));
  expect_same_as_single(each, out, test::kMaxRangeM);
}

TEST_P(BatchPaths, TheKernelVouchesForOrdinaryItems) {
  std::mt19937_64 random(11);
  KernelBlock block{};
  for (std::size_t i = 0; i < kBlock; ++i) {
    block.lat_deg[i] = test::uniform(random, -89, 89);
    block.lon_deg[i] = test::uniform(random, -180, 180);
    block.hae_m[i] = test::uniform(random, 5, 20'000);
    block.heading_deg[i] = test::uniform(random, 0, 360);
    block.pitch_deg[i] = test::uniform(random, -90, -20);
    block.fx_px[i] = block.fy_px[i] = 1500;
    block.pitch_sigma_deg[i] = 0.5;
  }
  run_kernel(block, GetParam());
  for (std::size_t i = 0; i < kBlock; ++i) EXPECT_EQ(block.sure[i], 1) << i;
}

INSTANTIATE_TEST_SUITE_P(Units, BatchPaths,
                         testing::Values(VectorUnits::kBest, VectorUnits::kScalar, VectorUnits::kBaseline,
                                         VectorUnits::kAvx2, VectorUnits::kAvx512));

TEST(Batch, RefusesArraysOfDifferentLength) {
  Columns in = mixed(10, 1);
  Rows out(10), short_out(9);
  EXPECT_FALSE(locate_batch(in.items(), 1e6, short_out.view()));
  EXPECT_EQ(short_out.status[0], 77) << "nothing is written";
  in.pitch.resize(3);
  EXPECT_FALSE(locate_batch(in.items(), 1e6, out.view()));
  Rows none(0);
  EXPECT_TRUE(locate_batch(Columns{}.items(), 1e6, none.view())) << "no items, nothing to do";
}

}  // namespace
}  // namespace detection::geolocate
