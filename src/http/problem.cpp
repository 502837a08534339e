#include "http/problem.hpp"

#include <array>

#include "detection/json_writer.hpp"
#include "http/detection_json.hpp"

namespace detection::http {

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
    case ErrorCode::kHeadersTooLarge: return 431;
    case ErrorCode::kRateLimited: return 429;
    case ErrorCode::kValidationFailed:
    case ErrorCode::kAboveHorizon:
    case ErrorCode::kNoIntersection:
    case ErrorCode::kCameraBelowTerrain:
    case ErrorCode::kOutsideTerrain:
    case ErrorCode::kTerrainVoid:
    case ErrorCode::kBehindCamera:
    case ErrorCode::kOutOfRange: return 422;
    case ErrorCode::kStoreUnavailable: return 503;
    case ErrorCode::kCapacityExceeded: return 507;
    case ErrorCode::kConfiguration:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

std::string_view status_reason(unsigned status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 507: return "Insufficient Storage";
    default: return {};
  }
}

ProblemText problem_text(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kMalformedJson:
      return {
          "The body is not JSON",
          "The text must be one JSON value (RFC 8259) in UTF-8: no duplicate keys, no NaN, nothing behind it, no NUL "
          "or half of a surrogate pair in a string."};
    case ErrorCode::kMalformedRequest:
      return {"The request cannot be read",
              "The request line, the header or the framing of the body breaks HTTP/1.1, or a form is not "
              "percent-encoded UTF-8."};
    case ErrorCode::kValidationFailed:
      return {"A rule is broken",
              "The request can be read, but some of its fields break a rule. All of them are listed in errors, each "
              "with its path; correct them and send it again."};
    case ErrorCode::kUnauthorized:
      return {
          "A valid token or API key is needed",
          "Send Authorization: Bearer with a token that is signed by a key of this service, has not expired and was "
          "not revoked, or an API key in X-API-Key."};
    case ErrorCode::kInsufficientScope:
      return {"The credential lacks a scope", "The detail names the scope. Ask for a token or an API key that has it."};
    case ErrorCode::kNotFound: return {"There is nothing here", "The path or the id is unknown to this service."};
    case ErrorCode::kMethodNotAllowed:
      return {"The method is not allowed here", "The Allow header lists those that are."};
    case ErrorCode::kNotAcceptable:
      return {"No acceptable form", "None of the types in Accept can be given here; the detail lists what can."};
    case ErrorCode::kTimeout: return {"The request took too long", "Its bytes did not arrive in time. Send it again."};
    case ErrorCode::kConflict:
      return {"It contradicts what is there",
              "A detection with this id but other content was accepted before; or what is to change is not in a state "
              "that allows it. Nothing was changed."};
    case ErrorCode::kPayloadTooLarge: return {"The body is too large", "The detail says the limit. Split it."};
    case ErrorCode::kUriTooLong: return {"The target is too long", "Shorten the path or the query."};
    case ErrorCode::kUnsupportedMediaType:
      return {"The media type is not supported",
              "Bodies are application/json in UTF-8; batches also application/x-ndjson, token requests also "
              "application/x-www-form-urlencoded. No Content-Encoding."};
    case ErrorCode::kHeadersTooLarge: return {"The header is too large", "Send fewer or shorter header fields."};
    case ErrorCode::kRateLimited: return {"Too many requests", "Wait as long as Retry-After says."};
    case ErrorCode::kAboveHorizon:
      return {"The ray does not meet the ground",
              "With this pose the pixel looks at or above the horizon. Check pitch (down is negative) and roll."};
    case ErrorCode::kNoIntersection: return {"No point could be computed", "Check the pose and the lens."};
    case ErrorCode::kCameraBelowTerrain:
      return {"The camera is below the ground", "Check location_elevation, its reference and the ground's height."};
    case ErrorCode::kOutsideTerrain:
      return {"The ray leaves the terrain model", "State ground_elevation_m or slant_range_m instead."};
    case ErrorCode::kTerrainVoid:
      return {"The terrain model has a hole there", "State ground_elevation_m or slant_range_m instead."};
    case ErrorCode::kBehindCamera: return {"No ray belongs to the pixel", "Check the distortion of the lens."};
    case ErrorCode::kOutOfRange:
      return {"The point is too far away", "It lies beyond the configured longest distance."};
    case ErrorCode::kStoreUnavailable:
      return {"The service cannot take it now", "Nothing was accepted. Send it again after Retry-After seconds."};
    case ErrorCode::kCapacityExceeded:
      return {
          "There is no room left",
          "Nothing was accepted: the disk, the spool or the queue of a sink is full; the detail says which. Tell the "
          "operator."};
    case ErrorCode::kConfiguration:
    case ErrorCode::kInternal:
      return {"The service failed", "A fault of ours. Tell the operator the X-Request-ID of the answer."};
  }
  return {"The service failed", ""};
}

std::span<const ErrorCode> error_codes() noexcept {
  static constexpr auto kCodes = [] {
    std::array<ErrorCode, static_cast<std::size_t>(ErrorCode::kInternal) + 1> codes{};
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<ErrorCode>(i);
    return codes;
  }();
  return kCodes;
}

const ErrorCode* find_error_code(std::string_view name) noexcept {
  for (const auto& code : error_codes())
    if (error_code_name(code) == name) return &code;
  return nullptr;
}

namespace {

void type_and_title(json::Writer& w, ErrorCode code) {
  std::string type(kProblemPath);
  type.append(error_code_name(code));
  w.key("type");
  w.string(type);
  w.key("title");
  w.string(problem_text(code).title);
  w.key("status");
  w.integer(http_status(code));
}

}  // namespace

void append_problem(std::string& out, const Error& error, std::string_view instance, std::string_view members) {
  json::Writer w(out);
  w.begin_object();
  type_and_title(w, error.code);
  w.key("detail");
  w.string(error.detail.empty() ? problem_text(error.code).title : std::string_view(error.detail));
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
  if (!members.empty()) w.raw(members);
  w.end_object();
}

void append_problem_page_json(std::string& out, ErrorCode code) {
  json::Writer w(out);
  w.begin_object();
  type_and_title(w, code);
  w.key("code");
  w.string(error_code_name(code));
  w.key("explanation");
  w.string(problem_text(code).explanation);
  w.end_object();
}

void append_problem_page_html(std::string& out, ErrorCode code) {
  // Our own literals only: nothing here needs escaping.
  const auto text = problem_text(code);
  out.append("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>")
      .append(text.title)
      .append("</title></head>\n<body><h1>")
      .append(text.title)
      .append("</h1>\n<p>Status ")
      .append(std::to_string(http_status(code)))
      .append(", code <code>")
      .append(error_code_name(code))
      .append("</code></p>\n<p>")
      .append(text.explanation)
      .append("</p></body></html>\n");
}

}  // namespace detection::http
