#include "geolocate/rotation.hpp"

#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

Mat3 from_quaternion(const nlohmann::json& xyzw) {
  double x = xyzw[0], y = xyzw[1], z = xyzw[2], w = xyzw[3];
  const double n = std::sqrt(x * x + y * y + z * z + w * w);
  x /= n, y /= n, z /= n, w /= n;
  return {.x = {1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)},
          .y = {2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)},
          .z = {2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)}};
}

double worst_difference(const Mat3& a, const Mat3& b) {
  double worst = 0;
  for (const Vec3 d : {a.x - b.x, a.y - b.y, a.z - b.z}) {
    worst = std::max({worst, std::abs(d.x), std::abs(d.y), std::abs(d.z)});
  }
  return worst;
}

TEST(Rotation, MatchesSkydiosQuaternions) {
  const auto file = test::vectors("skydio_euler_quat.json");
  for (const auto& row : file["rows"]) {
    const double tolerance = row["file"] == "S1008521.JPG" ? 2e-6 : 3e-4;
    const auto& ned = row["ned_roll_pitch_yaw_deg"];
    const Mat3 q = from_quaternion(row["quat_ned_xyzw"]);
    const Mat3 turned{.x = q.x, .y = -q.y, .z = -q.z};  // times diag(1, -1, -1)
    EXPECT_LT(worst_difference(rotation({ned[2], ned[1], ned[0]}), turned), tolerance) << row;
    const auto& flu = row["flu_roll_pitch_yaw_deg"];
    EXPECT_LT(worst_difference(rotation({flu[2], flu[1], flu[0]}), from_quaternion(row["quat_flu_xyzw"])), tolerance);
  }
}

TEST(Rotation, ComposesTealsPlatformAndCamera) {
  int found = 0;
  const auto file = test::vectors("vendor_xmp_pose.json");
  for (const auto& image : file["images"]) {
    if (!image.contains("composed_los")) continue;
    const auto& raw = image["raw"];
    const auto angles = [&raw](const std::string& who) {
      Attitude a;
      for (const auto& [tag, value] : raw.items()) {
        if (tag.ends_with(":" + who + "Yaw")) a.heading_deg = value;
        if (tag.ends_with(":" + who + "Pitch")) a.pitch_deg = value;
        if (tag.ends_with(":" + who + "Roll")) a.roll_deg = value;
      }
      return a;
    };
    const Direction los = line_of_sight(compose(angles("Platform"), angles("Camera")));
    EXPECT_NEAR(los.azimuth_deg, image["composed_los"]["az"].get<double>(), 1e-6);
    EXPECT_NEAR(-los.elevation_deg, image["composed_los"]["depression"].get<double>(), 1e-6);
    ++found;
  }
  EXPECT_EQ(found, 1);
}

TEST(Rotation, AttitudeOfAMatrixGivesTheMatrixAgain) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2000; ++i) {
    const Attitude in{test::uniform(random, -720, 720), test::uniform(random, -180, 180),
                      test::uniform(random, -360, 360)};
    const Attitude out = attitude_of(rotation(in));
    EXPECT_LT(worst_difference(rotation(in), rotation(out)), 1e-14);
    EXPECT_TRUE(out.heading_deg >= 0 && out.heading_deg < 360 && std::abs(out.pitch_deg) <= 90);
  }
  for (const double heading : {0.0, 37.0, 180.0, 359.0}) {
    const Attitude nadir = attitude_of(rotation({heading, -90, 0}));
    EXPECT_NEAR(nadir.heading_deg, heading, 1e-9);
    EXPECT_NEAR(nadir.pitch_deg, -90, 1e-9);
    EXPECT_NEAR(nadir.roll_deg, 0, 1e-9);
  }
}

TEST(Rotation, AtNadirTheImageTopPointsToTheHeading) {
  const Mat3 east = rotation({90, -90, 0});
  EXPECT_LT(norm(east.x - Vec3{0, 0, 1}), 1e-15);   // boresight down
  EXPECT_LT(norm(-east.z - Vec3{0, 1, 0}), 1e-15);  // image top (-z) east
  EXPECT_LT(norm(east.y - Vec3{-1, 0, 0}), 1e-15);  // image right south
}

TEST(Rotation, LookGivesAzimuthElevationAndRange) {
  const Look up = look({10, 20, 100}, {10, 20, 350});
  EXPECT_NEAR(up.direction.elevation_deg, 90, 1e-6);
  EXPECT_NEAR(up.range_m, 250, 1e-8);
  const Look east = look({0, 179.9999, 0}, {0, -179.9999, 0});
  EXPECT_NEAR(east.direction.azimuth_deg, 90, 1e-9);
  EXPECT_NEAR(east.range_m, 22.2639, 1e-3);
  const Look same = look({1, 2, 3}, {1, 2, 3});
  EXPECT_EQ(same.range_m, 0);
  EXPECT_NEAR(angle_between_deg({359, 0}, {1, 0}), 2, 1e-12);
  EXPECT_NEAR(angle_between_deg({10, 90}, {190, 90}), 0, 1e-12);
}

}  // namespace
}  // namespace detection::geolocate
