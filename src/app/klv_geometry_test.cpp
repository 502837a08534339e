#include "app/klv_geometry.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "klv/packets.hpp"
#include "test_paths.hpp"

namespace detection::app {
namespace {

std::vector<klv::UasDatalink> sets_of(const std::string& name) {
  std::ifstream file(std::string(DETECTION_TEST_DATA) + "/klv/" + name, std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  klv::PacketReader reader(bytes);
  std::vector<klv::UasDatalink> sets;
  while (const auto packet = reader.next()) sets.push_back(klv::decode(*packet));
  return sets;
}

TEST(DayAndNight, AbsoluteAndWithin5CentimetresByRangeAnd3MetresByGround) {
  const struct {
    const char* file;
    double ground_m;
    std::size_t packets;
  } flights[] = {{"day.klv", 701, 6}, {"night.klv", 599, 18}};
  for (const auto& flight : flights) {
    const auto sets = sets_of(flight.file);
    ASSERT_EQ(sets.size(), flight.packets);
    for (const auto& set : sets) {
      const auto geometry = packet_geometry(set, flight.ground_m);
      ASSERT_TRUE(geometry) << geometry.error().detail;
      EXPECT_EQ(geometry->convention, AngleConvention::kAbsolute);
      ASSERT_TRUE(geometry->by_range && geometry->by_range->residual_m);
      EXPECT_LT(*geometry->by_range->residual_m, 0.05);
      ASSERT_TRUE(geometry->by_ground && geometry->by_ground->residual_m);
      EXPECT_LT(*geometry->by_ground->residual_m, 3.0);
      EXPECT_TRUE(geometry->frame_height_contradicts);  // tag 25 holds the elevation angle in these
      EXPECT_FALSE(geometry->sensor_height_is_hae);
    }
  }
}

TEST(Truck, IsStandardAndMatchesTheReferenceResults) {
  std::ifstream file(std::string(DETECTION_TEST_DATA) + "/klv/misb_truck_first72.json");
  const auto expected = nlohmann::json::parse(file)["packets"];
  const auto sets = sets_of("truck_72.klv");
  ASSERT_EQ(sets.size(), expected.size());
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto& ref = expected[i]["ref"];
    const auto geometry = packet_geometry(sets[i], *sets[i].frame_center_msl_m);
    ASSERT_TRUE(geometry) << geometry.error().detail;
    EXPECT_EQ(geometry->convention, AngleConvention::kRelative);
    EXPECT_NEAR(geometry->attitude.heading_deg, ref["los_az"].get<double>(), 1e-6);
    EXPECT_NEAR(-geometry->attitude.pitch_deg, ref["los_depression"].get<double>(), 1e-6);
    ASSERT_TRUE(geometry->by_ground);
    EXPECT_NEAR(geometry->by_ground->position.lat_deg, ref["computed_fc"]["lat"].get<double>(), 1e-8);
    EXPECT_NEAR(geometry->by_ground->position.lon_deg, ref["computed_fc"]["lon"].get<double>(), 1e-8);
    EXPECT_NEAR(*geometry->by_ground->residual_m, ref["residual_m"].get<double>(), 0.05);
  }
}

TEST(PacketGeometry, WhatIsMissingIsNamed) {
  const auto whole = sets_of("truck_72.klv").front();
  const auto said = [](const klv::UasDatalink& set) {
    const auto geometry = packet_geometry(set, std::nullopt);
    return geometry ? std::string() : geometry.error().detail;
  };
  EXPECT_EQ(said(whole), "");
  auto set = whole;
  set.sensor_lat_deg.reset();
  EXPECT_NE(said(set).find("13"), std::string::npos);
  set = whole;
  set.sensor_altitude_msl_m.reset();
  EXPECT_NE(said(set).find("15"), std::string::npos);
  set = whole;
  set.horizontal_fov_deg = 0;
  EXPECT_NE(said(set).find("16"), std::string::npos);
  set = whole;
  set.sensor_azimuth_deg.reset();
  EXPECT_NE(said(set).find("18"), std::string::npos);
  set = whole;
  set.platform_roll_deg.reset();
  EXPECT_NE(said(set).find("5, 6, 7"), std::string::npos);
}

TEST(PacketGeometry, ARangeOfZeroIsNoRange) {
  auto set = sets_of("truck_72.klv").front();
  set.slant_range_m = 0;
  const auto geometry = packet_geometry(set, 1867.0);
  ASSERT_TRUE(geometry);
  EXPECT_FALSE(geometry->by_range);
  EXPECT_TRUE(geometry->by_ground);
}

}  // namespace
}  // namespace detection::app
