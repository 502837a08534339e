// Whatever legal detection comes: the event is valid, small enough, and says where the thing is.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include "cot/event.hpp"
#include "cot/legal_detection.hpp"
#include "cot/reader.hpp"
#include "cot/test_detections.hpp"
#include "cot/validate.hpp"

namespace detection::cot {
namespace {

void expect_valid(const LocatedDetection& detection, UtcMicros now, const EventOptions& options) {
  std::string xml;
  append_xml(xml, make_event(detection, now, options));
  const auto broken = violations(xml);
  if (!broken.empty()) RC_FAIL(broken.front() + ": " + xml);
  RC_ASSERT(xml.size() <= kEventBytesMost);

  const auto read = read_event(xml);
  if (!read) RC_FAIL(read.error().detail);
  constexpr double kHalfStep_deg = 5.001e-9;
  RC_ASSERT(std::abs(read->lat_deg - detection.fix.position.lat_deg) <= kHalfStep_deg);
  RC_ASSERT(std::abs(read->lon_deg - detection.fix.position.lon_deg) <= kHalfStep_deg);
  RC_ASSERT(read->hae_m.has_value() == detection.fix.hae_known);
  if (read->hae_m) RC_ASSERT(std::abs(*read->hae_m - detection.fix.position.hae_m) <= 0.0005001);
  RC_ASSERT(read->uid == detection.cot_uid);
  RC_ASSERT(read->type == detection.cot_type);
  RC_ASSERT(read->opex.starts_with("e-") == detection.exercise);
}

TEST(EventProperty, EveryLegalDetectionMakesAValidEvent) {
  EXPECT_TRUE(rc::check([] {
    EventOptions options;
    options.error = *rc::gen::element(ErrorConvention::kCe90, ErrorConvention::kSigma);
    options.stale = std::chrono::seconds{*rc::gen::inRange(1, 100'000)};
    options.terrain = *rc::gen::element(TerrainModel::kCalculated, TerrainModel::kDted1, TerrainModel::kLidar);
    // At full size from the first case on: the generators' ranges grow with it.
    for (int i = 0; i < 10; ++i)
      expect_valid(*rc::gen::resize(rc::kNominalSize, rc::gen::exec(legal_detection)),
                   UtcMicros{*rc::gen::inRange<std::int64_t>(0, kYear9000)}, options);
  }));
}

/// Everything as long as it may be, numbers as wide as they can get: the bound of 2048 holds without luck.
TEST(EventProperty, TheLongestLegalEventFits) {
  const auto longest = [](double wide) {
    auto detection = vehicle();
    detection.object_class = std::string(64, 'c');
    detection.source = std::string(128, ':');
    detection.camera_id = std::string(128, ':');
    detection.track_id = std::string(128, ':');
    detection.cot_uid =
        cot_uid(std::string(kUidPrefixBytesMost, 'P'), detection.id, detection.source, detection.track_id);
    detection.cot_type = "a-u-G-" + std::string(58, 'x');
    detection.exercise = true;
    detection.ai_confidence = 1;
    detection.pixel = {100'001, 100'001};
    auto& fix = detection.fix;
    fix.position = {-89.99999999, -179.99999999, -1000};
    fix.source = PositionSource::kGroundElevation;
    fix.covariance_enu_m2 = {wide * wide, wide * wide, wide * wide, -wide * wide, 0, 0};
    fix.ce90_m = 999'998;
    fix.le90_m = 999'998;
    fix.ellipse = {wide, wide, 179.999, 0.9};
    fix.slant_range_m = wide;
    fix.grazing_deg = 89.999;
    detection.verdict.flag = Flag::kYellow;
    return detection;
  };
  for (const double wide : {1e3, 1e6, 1e15, std::numeric_limits<double>::infinity()}) {
    const auto detection = longest(wide);
    EXPECT_EQ(detection.cot_uid.size(), kUidBytesMost);
    std::string xml;
    append_xml(xml, make_event(detection, kTestNow, {}));
    EXPECT_EQ(violations(xml), std::vector<std::string>{}) << xml.size() << '\n' << xml;
  }
}

/// Names of every length in between: where the source and the remarks start to be left out.
TEST(EventProperty, AtNoLengthOfNamesTheBoundIsCrossed) {
  std::size_t longest = 0;
  for (std::size_t size = 1; size <= kNameBytesMost; ++size)
    for (const char c : {'n', ':'}) {
      auto detection = vehicle();
      detection.source = std::string(size, c);
      detection.camera_id = std::string(size, c);
      detection.track_id = std::string(size, c);
      detection.object_class = std::string(std::min<std::size_t>(size, 64), 'c');
      detection.cot_uid = cot_uid("DET", detection.id, detection.source, detection.track_id);
      std::string xml;
      append_xml(xml, make_event(detection, kTestNow, {}));
      EXPECT_EQ(violations(xml), std::vector<std::string>{}) << size << c;
      longest = std::max(longest, xml.size());
    }
  EXPECT_GT(longest, 1900U);  // else this test does not come near the bound
}

}  // namespace
}  // namespace detection::cot
