#pragma once
// Expected failures as values: every room returns Result<T>; no exception crosses a room's border.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace detection {

/// One word for each way in which the system says no. The text form (error_code_name) is the `code` of a problem
/// document and never changes; http/ maps each to a status in one exhaustive switch.
enum class ErrorCode : std::uint8_t {
  // requests
  kMalformedJson,
  kMalformedRequest,
  kValidationFailed,
  kUnauthorized,
  kInsufficientScope,
  kNotFound,
  kMethodNotAllowed,
  kNotAcceptable,
  kTimeout,
  kConflict,
  kPayloadTooLarge,
  kUriTooLong,
  kUnsupportedMediaType,
  kHeadersTooLarge,
  kRateLimited,
  // geometry
  kAboveHorizon,
  kNoIntersection,
  kCameraBelowTerrain,
  kOutsideTerrain,
  kTerrainVoid,
  kBehindCamera,
  kOutOfRange,
  // the service itself
  kStoreUnavailable,
  kCapacityExceeded,
  kConfiguration,
  kInternal,
};

/// The stable lower-case word of a code, for instance "above_horizon".
[[nodiscard]] std::string_view error_code_name(ErrorCode code) noexcept;

/// One broken rule of one field. `field` is a path as in the request: "sensor_metadata.pitch".
struct FieldError {
  std::string field;
  std::string message;
  friend bool operator==(const FieldError&, const FieldError&) = default;
};

/// What went wrong, in words that may be shown to the caller (never internals).
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;
  std::vector<FieldError> fields = {};
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string detail,
                                                 std::vector<FieldError> fields = {}) {
  return std::unexpected<Error>(Error{code, std::move(detail), std::move(fields)});
}

}  // namespace detection
