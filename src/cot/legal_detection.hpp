#pragma once
// Any legal detection, for the property tests of this room: everything that a request may state, the ends of all
// ranges included.

#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "cot/uid.hpp"
#include "detection/record.hpp"

namespace detection::cot {

inline constexpr char kNames[] = "abzABZ0189_.:-";
inline constexpr std::int64_t kYear9000 = 221'845'392'000'000'000;

inline rc::Gen<std::string> name(std::size_t most, bool colon) {
  const auto characters = colon ? std::string(kNames) : std::string("abzABZ0189_.-");
  return rc::gen::mapcat(rc::gen::inRange<std::size_t>(1, most + 1), [=](std::size_t size) {
    return rc::gen::container<std::string>(size, rc::gen::elementOf(characters));
  });
}

inline rc::Gen<double> real(double low, double high) {
  const auto middle = rc::gen::map(rc::gen::inRange<std::int64_t>(0, 1'000'000'000'001), [=](std::int64_t part) {
    return low + (high - low) * (static_cast<double>(part) / 1e12);
  });
  return rc::gen::weightedOneOf<double>(
      {{6, middle}, {1, rc::gen::just(low)}, {1, rc::gen::just(high)}, {1, rc::gen::element(1e-9, -1e-9, 0.0, -0.0)}});
}

inline double drawn(double low, double high) {
  return std::clamp(*real(low, high), low, high);
}

inline LocatedDetection legal_detection() {
  LocatedDetection detection;
  for (auto& byte : detection.id.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  detection.observed = {*rc::gen::inRange<std::int64_t>(0, kYear9000)};
  detection.object_class = *name(64, false);
  detection.ai_confidence = drawn(0, 1);
  detection.source = *name(128, true);
  detection.camera_id = *name(128, true);
  if (*rc::gen::arbitrary<bool>()) detection.track_id = *name(128, true);
  detection.exercise = *rc::gen::arbitrary<bool>();
  detection.pixel = {drawn(0, 100'001), drawn(0, 100'001)};
  auto& fix = detection.fix;
  fix.position = {drawn(-90, 90), drawn(-180, 180), drawn(-1000, 10'000)};
  fix.hae_known = *rc::gen::arbitrary<bool>();
  fix.source = *rc::gen::element(PositionSource::kSlantRange, PositionSource::kGroundElevation,
                                 PositionSource::kAboveGround, PositionSource::kTerrain);
  for (auto& value : fix.covariance_enu_m2) value = drawn(-1e12, 1e12);
  if (*rc::gen::arbitrary<bool>()) fix.ce90_m = drawn(0, 2'000'000);
  if (*rc::gen::arbitrary<bool>()) fix.le90_m = drawn(0, 20'000);
  fix.ellipse = {drawn(0, 1e7), drawn(0, 1e7), drawn(0, 180), drawn(0, 1)};
  fix.slant_range_m = drawn(0, 2'000'000);
  fix.grazing_deg = drawn(0, 90);
  detection.verdict.flag = *rc::gen::element(Flag::kGreen, Flag::kYellow, Flag::kRed);
  detection.cot_type = *rc::gen::element<std::string>("a-u-G-E-V", "a-f-A-M-F-Q", "b-m-p-s-p-i", "a-h-G-E-V-A-T");
  detection.cot_uid = cot_uid("DET", detection.id, detection.source, detection.track_id);
  return detection;
}

}  // namespace detection::cot
