#pragma once
// Bodies of requests for tests: detections that are located well (GREEN), each a little different.

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace detection::integration {

/// A random version 4 UUID in text form.
[[nodiscard]] std::string random_uuid(std::mt19937_64& random);

/// One detection as JSON: a camera 120 m above stated ground, looking well down; CE90 of a few metres. `id` may be
/// empty: the service then mints one. `number` moves the pixel and the camera.
[[nodiscard]] std::string detection_json(std::uint64_t number, std::string_view id = {});

/// A JSON array of such, with the ids given (fewer or none: the service mints the rest).
[[nodiscard]] std::string batch_json(std::uint64_t first_number, std::size_t count, std::span<const std::string> ids);

}  // namespace detection::integration
