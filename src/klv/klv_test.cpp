#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "klv/packets.hpp"
#include "klv/st0601.hpp"
#include "test_paths.hpp"

namespace detection::klv {
namespace {

std::vector<std::uint8_t> file_bytes(const std::string& name) {
  std::ifstream file(std::string(DETECTION_TEST_DATA) + "/klv/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Packet> packets_of(Bytes bytes, std::size_t* skipped = nullptr) {
  PacketReader reader(bytes);
  std::vector<Packet> packets;
  while (auto packet = reader.next()) packets.push_back(*packet);
  if (skipped != nullptr) *skipped = reader.skipped_bytes();
  return packets;
}

void expect_number(const nlohmann::json& expected, const char* key, const std::optional<double>& decoded) {
  if (!expected.contains(key)) return;
  ASSERT_TRUE(decoded) << key;
  EXPECT_NEAR(*decoded, expected[key].get<double>(), 1e-9) << key;
}

void expect_text(const nlohmann::json& expected, const char* key, const std::string& decoded) {
  if (!expected.contains(key)) return;
  EXPECT_EQ(decoded, expected[key].get<std::string>()) << key;
}

void expect_packet(const nlohmann::json& expected, const UasDatalink& set) {
  ASSERT_TRUE(set.time);
  EXPECT_EQ(set.time->count, expected["unix_us"].get<std::int64_t>());
  EXPECT_EQ(set.version, expected["uas_version"].get<int>());
  EXPECT_FALSE(set.broken);
  expect_text(expected, "tag10", set.platform_designation);
  expect_text(expected, "tag11", set.image_source);
  expect_text(expected, "tag12", set.coordinate_system);
  expect_number(expected, "platform_heading", set.platform_heading_deg);
  expect_number(expected, "platform_pitch", set.platform_pitch_deg);
  expect_number(expected, "platform_roll", set.platform_roll_deg);
  expect_number(expected, "sensor_lat", set.sensor_lat_deg);
  expect_number(expected, "sensor_lon", set.sensor_lon_deg);
  expect_number(expected, "sensor_alt_msl", set.sensor_altitude_msl_m);
  expect_number(expected, "hfov", set.horizontal_fov_deg);
  expect_number(expected, "vfov", set.vertical_fov_deg);
  expect_number(expected, "rel_az", set.sensor_azimuth_deg);
  expect_number(expected, "rel_el", set.sensor_elevation_deg);
  expect_number(expected, "rel_roll", set.sensor_roll_deg);
  expect_number(expected, "slant_range", set.slant_range_m);
  expect_number(expected, "ground_range", set.ground_range_m);
  expect_number(expected, "target_width", set.target_width_m);
  expect_number(expected, "fc_lat", set.frame_center_lat_deg);
  expect_number(expected, "fc_lon", set.frame_center_lon_deg);
  expect_number(expected, "fc_elev_msl", set.frame_center_msl_m);
  expect_number(expected, "tgt_lat", set.target_lat_deg);
  expect_number(expected, "tgt_lon", set.target_lon_deg);
  expect_number(expected, "tgt_elev_msl", set.target_msl_m);
  for (std::size_t corner = 0; corner < 4; ++corner) {
    const auto name = "off_c" + std::to_string(corner + 1);
    expect_number(expected, (name + "_lat").c_str(), set.corner_offsets_deg[2 * corner]);
    expect_number(expected, (name + "_lon").c_str(), set.corner_offsets_deg[2 * corner + 1]);
  }
}

TEST(RealPackets, DayAndNightLostFiveOctetsOfEachKeyAndStillCheck) {
  std::ifstream file(std::string(DETECTION_TEST_VECTORS) + "/misb_day_night_24.json");
  const auto expected = nlohmann::json::parse(file)["packets"];
  std::size_t index = 0;
  for (const char* name : {"day.klv", "night.klv"}) {
    const auto bytes = file_bytes(name);
    std::size_t skipped = 0;
    for (const auto& packet : packets_of(bytes, &skipped)) {
      EXPECT_TRUE(packet.key_restored);
      EXPECT_TRUE(packet.checksum_ok) << name;
      ASSERT_LT(index, expected.size());
      expect_packet(expected[index++], decode(packet));
    }
    EXPECT_EQ(skipped, 0U) << name;
  }
  EXPECT_EQ(index, 24U);
}

TEST(RealPackets, Truck) {
  std::ifstream file(std::string(DETECTION_TEST_DATA) + "/klv/misb_truck_first72.json");
  const auto expected = nlohmann::json::parse(file)["packets"];
  const auto bytes = file_bytes("truck_72.klv");
  const auto packets = packets_of(bytes);
  ASSERT_EQ(packets.size(), 72U);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    EXPECT_FALSE(packets[i].key_restored);
    EXPECT_TRUE(packets[i].checksum_ok);
    expect_packet(expected[i], decode(packets[i]));
  }
}

TEST(Packets, JunkBetweenThemIsSkippedAndCounted) {
  const auto truck = file_bytes("truck_72.klv");
  std::vector<std::uint8_t> stream;
  std::mt19937 random(5);
  for (int i = 0; i < 3; ++i) {
    for (int junk = 0; junk < 100; ++junk) stream.push_back(static_cast<std::uint8_t>(random()));
    stream.insert(stream.end(), truck.begin(), truck.begin() + 259);
  }
  std::size_t skipped = 0;
  const auto packets = packets_of(stream, &skipped);
  EXPECT_EQ(packets.size(), 3U);
  EXPECT_EQ(skipped, 300U);
}

TEST(Packets, EveryFlippedBitOfAPacketIsFoundOrItIsNoPacket) {
  const auto truck = file_bytes("truck_72.klv");
  const std::vector<std::uint8_t> good(truck.begin(), truck.begin() + 259);
  for (std::size_t octet = 16; octet < good.size(); ++octet)
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[octet] = static_cast<std::uint8_t>(bad[octet] ^ (1U << bit));
      for (const auto& packet : packets_of(bad)) EXPECT_FALSE(packet.checksum_ok) << octet << ' ' << bit;
    }
}

TEST(Packets, CutAnywhereNothingIsReadOutside) {
  const auto truck = file_bytes("truck_72.klv");
  for (std::size_t size = 0; size < 259; ++size) {
    // A heap block of exactly that size, so that the address sanitizer sees a step over its end.
    const std::vector<std::uint8_t> cut(truck.begin(), truck.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_TRUE(packets_of(cut).empty()) << size;
  }
}

TEST(Packets, AnInnocentPacketBehindABrokenOneIsFound) {
  const auto truck = file_bytes("truck_72.klv");
  std::vector<std::uint8_t> stream(truck.begin(), truck.begin() + 16);
  for (const int octet : {0x84, 0xff, 0xff, 0xff, 0xff})
    stream.push_back(static_cast<std::uint8_t>(octet));  // 4 GiB, so they say
  stream.insert(stream.end(), truck.begin(), truck.begin() + 259);
  const auto packets = packets_of(stream);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_TRUE(packets[0].checksum_ok);
}

TEST(Packets, ADamagedLengthDoesNotSwallowTheGoodPacketsBehindIt) {
  auto truck = file_bytes("truck_72.klv");
  truck[16] = 0x82;  // the first packet now claims 0x4000-odd octets
  truck[17] = 0x40;
  std::size_t good = 0;
  for (const auto& packet : packets_of(truck)) good += packet.checksum_ok ? 1 : 0;
  EXPECT_EQ(good, 71U);
}

TEST(Ber, LengthsAndTags) {
  const auto length = [](std::vector<std::uint8_t> bytes) {
    std::size_t at = 0;
    return read_ber_length(bytes, at);
  };
  EXPECT_EQ(length({0x7f}), 127U);
  EXPECT_EQ(length({0x81, 0x80}), 128U);
  EXPECT_EQ(length({0x82, 0x01, 0x00}), 256U);
  EXPECT_EQ(length({0x80}), std::nullopt);  // indefinite
  EXPECT_EQ(length({0x82, 0x01}), std::nullopt);
  EXPECT_EQ(length({0x85, 0, 0, 0, 0, 1}), std::nullopt);
  EXPECT_EQ(length({}), std::nullopt);
  const auto tag = [](std::vector<std::uint8_t> bytes) {
    std::size_t at = 0;
    return read_ber_oid(bytes, at);
  };
  EXPECT_EQ(tag({0x5a}), 90U);
  EXPECT_EQ(tag({0x81, 0x00}), 128U);
  EXPECT_EQ(tag({0x81}), std::nullopt);
  EXPECT_EQ(tag({0x81, 0x81, 0x81, 0x81, 0x01}), std::nullopt);
}

UasDatalink decoded(std::vector<std::uint8_t> value) {
  return decode(Packet{value, false, true});
}

TEST(Decode, ReservedValuesAndWrongLengthsAreMissing) {
  EXPECT_FALSE(decoded({13, 4, 0x80, 0, 0, 0}).sensor_lat_deg);
  EXPECT_FALSE(decoded({6, 2, 0x80, 0}).platform_pitch_deg);
  EXPECT_FALSE(decoded({13, 3, 0, 0, 0}).sensor_lat_deg);
  EXPECT_FALSE(decoded({2, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}).time);
  EXPECT_EQ(decoded({13, 4, 0x7f, 0xff, 0xff, 0xff}).sensor_lat_deg, 90);
  EXPECT_EQ(decoded({13, 4, 0x80, 0, 0, 1}).sensor_lat_deg, -90);
  EXPECT_EQ(decoded({15, 2, 0, 0}).sensor_altitude_msl_m, -900);
  EXPECT_EQ(decoded({15, 2, 0xff, 0xff}).sensor_altitude_msl_m, 19'000);
}

TEST(Decode, TheFullAttitudeWinsInEitherOrder) {
  const std::vector<std::uint8_t> small{6, 2, 0x40, 0};
  const std::vector<std::uint8_t> full{90, 4, 0x40, 0, 0, 0};
  for (const bool small_first : {true, false}) {
    auto value = small_first ? small : full;
    const auto& other = small_first ? full : small;
    value.insert(value.end(), other.begin(), other.end());
    EXPECT_NEAR(*decoded(value).platform_pitch_deg, 45, 1e-6);
  }
}

TEST(Decode, ImapbOfTheExtendedHeight) {
  // ST 1201: -900..40,000 m in 3 octets: 2^-7 m steps; 0x000000 is -900, one step more per count.
  EXPECT_EQ(decoded({104, 3, 0, 0, 0}).sensor_hae_m, -900);
  const double zero_offset = 128.0 * -900 - std::floor(128.0 * -900);
  EXPECT_NEAR(*decoded({104, 3, 0x01, 0xc2, 0x00}).sensor_hae_m, (0x01c200 - zero_offset) / 128 - 900, 1e-9);
  EXPECT_FALSE(decoded({104, 3, 0xc8, 0, 0}).sensor_hae_m);  // +infinity
  EXPECT_FALSE(decoded({104, 0}).sensor_hae_m);
  EXPECT_EQ(decoded({104, 1, 0}).sensor_hae_m, -900);  // coarse, but within the range
}

TEST(Decode, TextsAreMadePrintable) {
  EXPECT_EQ(decoded({10, 4, 'A', 0, 0xff, '<'}).platform_designation,
            "A"
            "??"
            "<");
}

TEST(Decode, ABrokenSetKeepsWhatStoodBefore) {
  const auto set = decoded({15, 2, 0, 0, 13, 9, 1});
  EXPECT_TRUE(set.broken);
  EXPECT_EQ(set.sensor_altitude_msl_m, -900);
}

}  // namespace
}  // namespace detection::klv
