#include "detection/error.hpp"

namespace detection {

std::string_view error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kMalformedJson: return "malformed_json";
    case ErrorCode::kMalformedRequest: return "malformed_request";
    case ErrorCode::kValidationFailed: return "validation_failed";
    case ErrorCode::kUnauthorized: return "unauthorized";
    case ErrorCode::kInsufficientScope: return "insufficient_scope";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kMethodNotAllowed: return "method_not_allowed";
    case ErrorCode::kNotAcceptable: return "not_acceptable";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kPayloadTooLarge: return "payload_too_large";
    case ErrorCode::kUriTooLong: return "uri_too_long";
    case ErrorCode::kUnsupportedMediaType: return "unsupported_media_type";
    case ErrorCode::kHeadersTooLarge: return "headers_too_large";
    case ErrorCode::kRateLimited: return "rate_limited";
    case ErrorCode::kAboveHorizon: return "above_horizon";
    case ErrorCode::kNoIntersection: return "no_intersection";
    case ErrorCode::kCameraBelowTerrain: return "camera_below_terrain";
    case ErrorCode::kOutsideTerrain: return "outside_terrain";
    case ErrorCode::kTerrainVoid: return "terrain_void";
    case ErrorCode::kBehindCamera: return "behind_camera";
    case ErrorCode::kOutOfRange: return "out_of_range";
    case ErrorCode::kStoreUnavailable: return "store_unavailable";
    case ErrorCode::kCapacityExceeded: return "capacity_exceeded";
    case ErrorCode::kConfiguration: return "configuration";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

}  // namespace detection
