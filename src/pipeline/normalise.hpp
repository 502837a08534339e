#pragma once
// What counts as the same request: its canonical text and the hash of that.

#include <string>
#include <string_view>

#include "detection/detection.hpp"
#include "detection/json_writer.hpp"

namespace detection::pipeline {

/// The request as one canonical JSON text: fixed order, what was not stated left out, numbers shortest, times in UTC;
/// without the id. Same content, same text.
[[nodiscard]] std::string normalised_request(const Detection& detection);

/// The value of `sensor_metadata`, as a request has it.
void append_sensor_metadata(json::Writer& w, const SensorMetadata& sensor);

[[nodiscard]] Sha256 sha256(std::string_view bytes);

/// The UUID that an Idempotency-Key stands for: itself where it is one, else one made from its hash.
[[nodiscard]] Uuid uuid_of_idempotency_key(std::string_view key);

}  // namespace detection::pipeline
