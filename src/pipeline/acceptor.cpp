#include "pipeline/acceptor.hpp"

#include "cot/event.hpp"
#include "pipeline/normalise.hpp"

namespace detection::pipeline {

Acceptor::Acceptor(AcceptorSettings settings, telemetry::Metrics& metrics)
    : settings_(std::move(settings)), ce90_(metrics.histogram(telemetry::kDetectionCe90Meters)) {}

Result<store::Acceptance> Acceptor::accept(Detection detection, const Provenance& from, UuidMint& mint) const {
  store::Acceptance acceptance;
  acceptance.times.received = from.received;
  acceptance.times.validated = system_now();

  auto fix = locate(detection);
  if (!fix) return std::unexpected(std::move(fix.error()));
  acceptance.times.located = system_now();
  if (settings_.cameras != nullptr) settings_.cameras->saw(detection);
  if (fix->ce90_m) telemetry::Histogram(ce90_).observe(*fix->ce90_m);

  acceptance.request_json = normalised_request(detection);
  acceptance.content_sha256 = sha256(acceptance.request_json);
  acceptance.actor = from.actor;
  acceptance.request_id = from.request_id;
  acceptance.trace_id = from.trace_id;

  auto& located = acceptance.located;
  located.id = detection.id ? *detection.id : mint.mint(acceptance.times.located);
  located.observed = detection.timestamp;
  located.received = from.received;
  located.ai_confidence = detection.ai_confidence;
  located.exercise = detection.exercise;
  located.pixel = detection.pixel;
  located.fix = *fix;
  located.verdict = classify(*fix, detection.ai_confidence, settings_.flags);
  located.cot_type = settings_.classes->type_of(detection.object_class);
  located.cot_uid = cot::cot_uid(settings_.uid_prefix, located.id, detection.source, detection.track_id);
  located.object_class = std::move(detection.object_class);
  located.source = std::move(detection.source);
  located.camera_id = std::move(detection.camera_id);
  located.track_id = std::move(detection.track_id);

  if (located.exercise)
    acceptance.disposition = store::Disposition::kDiscard;
  else if (located.verdict.flag == Flag::kRed && settings_.red == RedPolicy::kHold)
    acceptance.disposition = store::Disposition::kHold;
  acceptance.times.cot_made = system_now();
  return acceptance;
}

Result<Fix> Acceptor::locate(const Detection& detection) const {
  const auto camera = settings_.camera_accuracy.find(detection.camera_id);
  if (camera == settings_.camera_accuracy.end())
    return geolocate::locate(detection.pixel, detection.sensor, settings_.geolocate);
  auto settings = settings_.geolocate;
  settings.accuracy = merge(settings.accuracy, camera->second);
  return geolocate::locate(detection.pixel, detection.sensor, settings);
}

}  // namespace detection::pipeline
