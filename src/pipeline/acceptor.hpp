#pragma once
// From a validated detection to what is committed: locate -> flag -> CoT type and uid -> normalised record.

#include <string>

#include "cot/class_map.hpp"
#include "detection/detection.hpp"
#include "detection/flag.hpp"
#include "geolocate/locate.hpp"
#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::pipeline {

/// What becomes of RED detections.
enum class RedPolicy : std::uint8_t { kHold, kSend };

struct AcceptorSettings {
  geolocate::Settings geolocate{};
  FlagPolicy flags{};
  RedPolicy red = RedPolicy::kHold;
  std::string uid_prefix = "DET";
  const cot::ClassMap* classes = nullptr;  ///< must outlive the acceptor
};

/// Who sent it, and when its bytes were there.
struct Provenance {
  std::string_view actor;
  std::string_view request_id;
  UtcMicros received{};
};

/// Thread-safe: no state but the settings and metric handles.
class Acceptor {
 public:
  Acceptor(AcceptorSettings settings, telemetry::Metrics& metrics);

  /// Everything between parsing and the store. Geometry errors come back as such (above_horizon, ...). `mint` makes the
  /// id where the caller states none.
  [[nodiscard]] Result<store::Acceptance> accept(Detection detection, const Provenance& from, UuidMint& mint) const;

  [[nodiscard]] const AcceptorSettings& settings() const noexcept { return settings_; }

 private:
  AcceptorSettings settings_;
  telemetry::Histogram ce90_;
};

/// The request as one canonical JSON text: fixed order, defaults left out, numbers shortest. Same content, same text.
[[nodiscard]] std::string normalised_request(const Detection& detection);
[[nodiscard]] Sha256 sha256(std::string_view bytes);

/// The UUID that an Idempotency-Key stands for: itself where it is one, else one made from its hash.
[[nodiscard]] Uuid uuid_of_idempotency_key(std::string_view key);

}  // namespace detection::pipeline
