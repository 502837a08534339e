#include "detection/json_writer.hpp"
#include "http/detection_json.hpp"

namespace detection::http {
namespace {

std::string_view title_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kMalformedJson: return "The body is not valid JSON";
    case ErrorCode::kMalformedRequest: return "The request is not valid HTTP";
    case ErrorCode::kValidationFailed: return "A field breaks its rule";
    case ErrorCode::kUnauthorized: return "A valid bearer token is needed";
    case ErrorCode::kInsufficientScope: return "The token lacks a scope";
    case ErrorCode::kNotFound: return "There is no such thing";
    case ErrorCode::kMethodNotAllowed: return "The method is not allowed here";
    case ErrorCode::kNotAcceptable: return "No acceptable representation";
    case ErrorCode::kTimeout: return "The request took too long to arrive";
    case ErrorCode::kConflict: return "The id is taken by other content";
    case ErrorCode::kPayloadTooLarge: return "The body is too large";
    case ErrorCode::kUriTooLong: return "The target is too long";
    case ErrorCode::kUnsupportedMediaType: return "The media type is not supported";
    case ErrorCode::kHeadersTooLarge: return "The header is too large";
    case ErrorCode::kRateLimited: return "Too many requests";
    case ErrorCode::kAboveHorizon: return "The ray does not come down to the ground";
    case ErrorCode::kNoIntersection: return "The ray meets no ground";
    case ErrorCode::kCameraBelowTerrain: return "The camera is below the ground";
    case ErrorCode::kOutsideTerrain: return "The ray leaves the terrain model";
    case ErrorCode::kTerrainVoid: return "The terrain model has a hole there";
    case ErrorCode::kBehindCamera: return "No ray belongs to the pixel";
    case ErrorCode::kOutOfRange: return "The point is too far away";
    case ErrorCode::kStoreUnavailable: return "The service cannot take this now";
    case ErrorCode::kCapacityExceeded: return "There is no room left";
    case ErrorCode::kConfiguration: return "The service is not configured for this";
    case ErrorCode::kInternal: return "The service failed";
  }
  return "The service failed";
}

}  // namespace

unsigned http_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kMalformedJson:
    case ErrorCode::kMalformedRequest: return 400;
    case ErrorCode::kUnauthorized: return 401;
    case ErrorCode::kInsufficientScope: return 403;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kMethodNotAllowed: return 405;
    case ErrorCode::kNotAcceptable: return 406;
    case ErrorCode::kTimeout: return 408;
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kPayloadTooLarge: return 413;
    case ErrorCode::kUriTooLong: return 414;
    case ErrorCode::kUnsupportedMediaType: return 415;
    case ErrorCode::kValidationFailed:
    case ErrorCode::kAboveHorizon:
    case ErrorCode::kNoIntersection:
    case ErrorCode::kCameraBelowTerrain:
    case ErrorCode::kOutsideTerrain:
    case ErrorCode::kTerrainVoid:
    case ErrorCode::kBehindCamera:
    case ErrorCode::kOutOfRange: return 422;
    case ErrorCode::kRateLimited: return 429;
    case ErrorCode::kHeadersTooLarge: return 431;
    case ErrorCode::kConfiguration:
    case ErrorCode::kInternal: return 500;
    case ErrorCode::kStoreUnavailable: return 503;
    case ErrorCode::kCapacityExceeded: return 507;
  }
  return 500;
}

void append_problem(std::string& out, const Error& error, std::string_view instance) {
  json::Writer w(out);
  w.begin_object();
  w.key("type");
  w.string("/problems/" + std::string(error_code_name(error.code)));
  w.key("title");
  w.string(title_of(error.code));
  w.key("status");
  w.integer(http_status(error.code));
  w.key("detail");
  w.string(error.detail);
  if (!instance.empty()) {
    w.key("instance");
    w.string(instance);
  }
  w.key("code");
  w.string(error_code_name(error.code));
  if (!error.fields.empty()) {
    w.key("errors");
    w.begin_array();
    for (const auto& field : error.fields) {
      w.begin_object();
      w.key("field");
      w.string(field.field);
      w.key("message");
      w.string(field.message);
      w.end_object();
    }
    w.end_array();
  }
  w.end_object();
}

}  // namespace detection::http
