#pragma once
// From a validated detection to what is committed: locate -> flag -> CoT type and uid -> normalised record.

#include <map>
#include <string>

#include "cot/class_map.hpp"
#include "detection/detection.hpp"
#include "detection/flag.hpp"
#include "geolocate/locate.hpp"
#include "pipeline/camera_registry.hpp"
#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::pipeline {

/// What becomes of RED detections.
enum class RedPolicy : std::uint8_t { kHold, kSend };

struct AcceptorSettings {
  geolocate::Settings geolocate{};
  std::map<std::string, AccuracyOverride, std::less<>> camera_accuracy{};  ///< by camera_id, over the defaults
  FlagPolicy flags{};
  RedPolicy red = RedPolicy::kHold;
  std::string uid_prefix = "DET";
  const cot::ClassMap* classes = nullptr;  ///< must outlive the acceptor
  CameraRegistry* cameras = nullptr;       ///< told of every accepted detection; must outlive the acceptor; may be none
};

/// Who sent it, and when its bytes were there.
struct Provenance {
  std::string_view actor;
  std::string_view request_id;
  UtcMicros received{};
  std::string_view trace_id{};  ///< of the caller's trace; empty: none
};

/// Thread-safe: no state but the settings and metric handles.
class Acceptor {
 public:
  Acceptor(AcceptorSettings settings, telemetry::Metrics& metrics);

  /// Everything between parsing and the store. Geometry errors come back as such (above_horizon, ...). `mint` makes the
  /// id where the caller states none.
  [[nodiscard]] Result<store::Acceptance> accept(Detection detection, const Provenance& from, UuidMint& mint) const;

  /// Only where it is: what `accept` would find, with the camera's accuracy.
  [[nodiscard]] Result<Fix> locate(const Detection& detection) const;

  [[nodiscard]] const AcceptorSettings& settings() const noexcept { return settings_; }

 private:
  AcceptorSettings settings_;
  telemetry::Histogram ce90_;
};

}  // namespace detection::pipeline
