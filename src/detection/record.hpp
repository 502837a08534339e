#pragma once
// A detection that has been located: what is kept, shown and delivered.

#include <optional>
#include <string>

#include "detection/detection.hpp"
#include "detection/fix.hpp"
#include "detection/flag.hpp"

namespace detection {

struct LocatedDetection {
  Uuid id{};
  UtcMicros observed{};  ///< the detector's timestamp
  UtcMicros received{};
  std::string object_class;
  double ai_confidence = 0;
  std::string source;
  std::string camera_id;
  std::optional<std::string> track_id{};
  bool exercise = false;
  Pixel pixel{};
  Fix fix{};
  FlagVerdict verdict{};
  std::string cot_uid;   ///< DET.<id> or DET.<source>.<track_id>
  std::string cot_type;  ///< from the class map, for instance a-u-G-E-V
};

}  // namespace detection
