// The slots file: what is in the tree reads and writes back the same; what would be lost is refused.

#include "slotctl/slots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "test_paths.hpp"

namespace detection::slotctl {
namespace {

using ::testing::HasSubstr;

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Slots, TheFilesOfTheTreeAreInTheFormThatIsWritten) {
  const std::filesystem::path folder = std::filesystem::path(DETECTION_SOURCE_ROOT) / "kubernetes/environments";
  for (const char* environment : {"dev", "staging", "prod", "airgap"}) {
    const auto text = file(folder / environment / "slots.yaml");
    const auto slots = parse_slots(text);
    ASSERT_TRUE(slots) << environment << ": " << slots.error().detail;
    EXPECT_EQ(format_slots(*slots, environment), text) << environment;
  }
  const auto edge = parse_slots(file(folder / "edge/slots.yaml"));
  ASSERT_FALSE(edge);
  EXPECT_THAT(edge.error().detail, HasSubstr("no releases"));
}

TEST(Slots, SettingsKeepTheirTypes) {
  const auto config = parse_config(R"(
read_cache: 2048
trusted_proxy: [10.0.11.0/24, "10"]
red_policy: send
quoted: "2048"
cut: 'a, b'
nothing: ~
deep: {a: true, b: [1.5, "x: y"]}
)");
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config->at("read_cache"), "2048");
  EXPECT_EQ(config->at("trusted_proxy"), R"(["10.0.11.0/24", "10"])");
  EXPECT_EQ(config->at("red_policy"), "send");
  EXPECT_EQ(config->at("quoted"), R"("2048")");
  EXPECT_EQ(config->at("cut"), R"("a, b")");
  EXPECT_EQ(config->at("nothing"), "null");
  EXPECT_EQ(config->at("deep"), R"({a: true, b: [1.5, "x: y"]})");
  Slots slots;
  slots.blue = {true, 4, {"r", "t", "d"}, *config};
  slots.migrate = false;
  const auto again = parse_slots(format_slots(slots, "prod"));
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(*again, slots);
}

TEST(Slots, WhatIsNotUnderstoodIsRefusedWithItsPlace) {
  const std::string good = format_slots({Slot::kBlue, {true, {}, {}, {}}, {}, true}, "prod");
  ASSERT_TRUE(parse_slots(good));
  const auto with = [&](const std::string& old, const std::string& now) {
    auto text = good;
    const auto at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old;
    text.replace(at, old.size(), now);
    const auto read = parse_slots(text);
    return read ? std::string("accepted") : read.error().detail;
  };
  EXPECT_THAT(with("active: blue", "active: red"), HasSubstr("slots.active must be blue or green"));
  EXPECT_THAT(with("active: blue", "active: green"), HasSubstr("the active slot is idle"));
  EXPECT_THAT(with("state: running", "state: runs"), HasSubstr("slots.blue.state must be running or idle"));
  EXPECT_THAT(with("minReplicas: null", "minReplicas: 0"), HasSubstr("minReplicas must be null or a number"));
  EXPECT_THAT(with("minReplicas: null", "minReplica: 3"), HasSubstr("slots.blue.minReplica is not known"));
  EXPECT_THAT(with("config: {}", "config: [1]"), HasSubstr("slots.blue.config must be a mapping"));
  EXPECT_THAT(with("hooks:", "autoscaling: {enabled: false}\nhooks:"), HasSubstr("autoscaling is not known"));
  EXPECT_THAT(with("enabled: true", "enabled: 7"), HasSubstr("must be true or false"));
  EXPECT_THAT(with("  green:", "  grene:"), HasSubstr("slots.grene is not known"));
  EXPECT_THAT(with("slots:", "slots: ["), HasSubstr("line"));
  EXPECT_THAT(with("minReplicas: null", "minReplicas: 0"), HasSubstr("line "));
}

}  // namespace
}  // namespace detection::slotctl
