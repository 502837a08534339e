#include "geolocate/wgs84.hpp"

#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

TEST(Wgs84, AgreesWithTheAnalyticPairs) {
  int pairs = 0;
  const auto file = test::vectors("analytic_wgs84.json");
  for (const auto& row : file["geodetic_ecef"]) {
    const LatLonHae lla = test::place(row["lla"]);
    const Vec3 ecef = test::vec3(row["ecef"]);
    EXPECT_LT(norm(to_ecef(lla) - ecef), 1e-8) << row;
    const LatLonHae back = to_geodetic(ecef);
    EXPECT_LT(norm(to_ecef(back) - ecef), 1e-8) << row;
    EXPECT_NEAR(back.lat_deg, lla.lat_deg, 1e-13) << row;
    EXPECT_NEAR(back.lon_deg, lla.lon_deg, 1e-13) << row;
    EXPECT_NEAR(back.hae_m, lla.hae_m, 1e-8) << row;
    ++pairs;
  }
  EXPECT_EQ(pairs, 34);
}

TEST(Wgs84, GoesThereAndBackFromTheDeepSeaToAThousandKilometres) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const LatLonHae place{test::uniform(random, -90, 90), test::uniform(random, -180, 180),
                          i % 2 ? test::uniform(random, -12'000, 10'000) : test::uniform(random, -500, 1'000'000)};
    const LatLonHae back = to_geodetic(to_ecef(place));
    ASSERT_LT(test::distance_m(place, back), 1e-8) << place.lat_deg << ' ' << place.lon_deg << ' ' << place.hae_m;
    ASSERT_NEAR(back.hae_m, place.hae_m, 1e-8);
  }
}

TEST(Wgs84, PolesAndAntimeridianHaveOneForm) {
  const LatLonHae north = to_geodetic(Vec3{0, 0, kSemiMinorM + 5});
  EXPECT_DOUBLE_EQ(north.lat_deg, 90);
  EXPECT_EQ(north.lon_deg, 0);
  EXPECT_NEAR(north.hae_m, 5, 1e-9);
  EXPECT_DOUBLE_EQ(to_geodetic(Vec3{0, 0, -kSemiMinorM}).lat_deg, -90);
  EXPECT_EQ(to_geodetic(Vec3{-kSemiMajorM, 0.0, 0}).lon_deg, 180);
  EXPECT_EQ(to_geodetic(Vec3{-kSemiMajorM, -0.0, 0}).lon_deg, 180);
}

TEST(Wgs84, LocalFrameIsRightHandedAndOrthonormal) {
  for (const double lat : {-90.0, -45.0, 0.0, 12.5, 90.0}) {
    const Mat3 ned = site_at({lat, 33, 100}).ned;
    EXPECT_NEAR(norm(cross(ned.x, ned.y) - ned.z), 0, 1e-15) << lat;
    EXPECT_NEAR(norm(ned.x), 1, 1e-15) << lat;
    EXPECT_NEAR(dot(ned.x, ned.y), 0, 1e-15) << lat;
  }
}

}  // namespace
}  // namespace detection::geolocate
