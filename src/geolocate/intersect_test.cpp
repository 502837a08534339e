#include "geolocate/intersect.hpp"

#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

struct Look {
  LatLonHae from;
  Site site;
  Vec3 ray;

  Look(LatLonHae place, double azimuth_deg, double depression_rad) : from(place), site(site_at(place)) {
    const double azimuth = azimuth_deg * kRadPerDeg;
    ray = site.ned * Vec3{std::cos(depression_rad) * std::cos(azimuth), std::cos(depression_rad) * std::sin(azimuth),
                          std::sin(depression_rad)};
  }
  [[nodiscard]] double hae_at(double range_m) const { return vertical_at(site.ecef_m + ray * range_m).hae_m; }
};

TEST(Intersect, FirstCrossingOrClosestApproachAlsoNearTangency) {
  std::mt19937_64 random(12);
  int hits = 0, misses = 0;
  for (int i = 0; i < 20'000; ++i) {
    const double ground = test::uniform(random, -500, 9000);
    const double height = std::pow(10, test::uniform(random, -3, 6));
    const double azimuth = test::uniform(random, 0, 360);
    // Around the horizon, from a ten-thousandth of the dip to a third of it away.
    const double dip = std::acos(6'371'000 / (6'371'000 + height));
    const double offset = std::pow(10, test::uniform(random, -4, -0.5)) * (i % 2 ? 1 : -1);
    const Look look({test::uniform(random, -90, 90), test::uniform(random, -180, 180), ground + height}, azimuth,
                    dip * (1 + offset));
    const Crossing crossing = cross_height(look.site, ground + height, look.ray, ground);
    ASSERT_NE(crossing.meeting, Meeting::kBelow);
    const double t = crossing.range_m;
    if (crossing.meeting == Meeting::kHit) {
      ++hits;
      ASSERT_NEAR(look.hae_at(t), ground, 5e-9) << i;
      for (const double part : {0.3, 0.7, 0.95}) ASSERT_GT(look.hae_at(t * part), ground) << i;
      ASSERT_LE(look.hae_at(t * 1.001 + 1), look.hae_at(t * 0.999) + 1e-6) << i;
    } else {
      ++misses;
      // The lowest point of the ray, and it is above the ground.
      ASSERT_GT(look.hae_at(t), ground) << i;
      for (const double away : {-50.0, 50.0}) ASSERT_GT(look.hae_at(t + away), look.hae_at(t) - 1e-6) << i;
    }
  }
  EXPECT_GT(hits, 5000);
  EXPECT_GT(misses, 5000);
}

TEST(Intersect, OnUnderAndOverTheSurface) {
  const Look down({45, 7, 100}, 10, 0.5), level({45, 7, 100}, 10, 0), up({45, 7, 100}, 10, -0.5);
  const auto meeting = [](const Look& look, double ground) {
    return cross_height(look.site, look.from.hae_m, look.ray, ground).meeting;
  };
  EXPECT_EQ(meeting(down, 100), Meeting::kHit);
  EXPECT_EQ(cross_height(down.site, 100, down.ray, 100 + 0.9e-6).range_m, 0);
  EXPECT_EQ(cross_height(down.site, 100, down.ray, 100 - 0.9e-6).range_m, 0);
  EXPECT_EQ(meeting(down, 100 + 1.1e-6), Meeting::kBelow);
  EXPECT_GT(cross_height(down.site, 100, down.ray, 100 - 1.1e-6).range_m, 0);
  EXPECT_EQ(meeting(level, 100), Meeting::kMiss);
  EXPECT_EQ(meeting(up, 100), Meeting::kMiss);
  EXPECT_EQ(meeting(up, 50), Meeting::kMiss);
  EXPECT_EQ(meeting(up, 200), Meeting::kBelow);
}

}  // namespace
}  // namespace detection::geolocate
