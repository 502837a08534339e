#include "http/open_api.hpp"

#include <string_view>

#include "http/open_api_parts.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kInfo = R"({
"title":"Detection System","version":"1",
"summary":"From an AI detection and the pose of its camera to a point with an honest error on a TAK map.",
"description":"A detection is located, flagged GREEN, YELLOW or RED by its 90 % circular error, stored durably and delivered to TAK as Cursor on Target.\n\nAuthenticate by a bearer token (a JWT, or one that `POST /api/v1/auth/token` gives) or by an API key (`X-API-Key`, or as the bearer token). Every answer has `X-Request-ID`. Errors are problem documents (RFC 9457) with a stable `code`, explained at `/problems/{code}`; all broken rules of a request are listed at once.",
"license":{"name":"Proprietary","identifier":"LicenseRef-Proprietary"}})";

constexpr std::string_view kTags = R"([{"name":"detections","description":"Send, find and decide on detections."},)"
                                   R"({"name":"delivery","description":"What becomes of them at the TAK servers."},)"
                                   R"({"name":"audit","description":"What was done, by whom: hash-chained."},)"
                                   R"({"name":"access","description":"Tokens and API keys."},)"
                                   R"({"name":"service","description":"The service itself."}])";

void answer_headers(json::Writer& w, std::uint16_t bits, bool limited) {
  w.key("headers");
  w.begin_object();
  append_header(w, "X-Request-ID", "RequestId");
  if ((bits & kLocationHeader) != 0) append_header(w, "Location", "Location");
  if ((bits & kDetectionHeaders) != 0) {
    append_header(w, "X-Detection-ID", "DetectionId");
    append_header(w, "X-Confidence-Flag", "ConfidenceFlag");
  }
  if ((bits & kEtagHeader) != 0) append_header(w, "ETag", "ETag");
  if ((bits & kNoStoreHeader) != 0) append_header(w, "Cache-Control", "NoStore");
  if ((bits & kNextCursorHeader) != 0) append_header(w, "X-Next-Cursor", "NextCursor");
  if (limited) {
    append_header(w, "RateLimit-Policy", "RateLimitPolicy");
    append_header(w, "RateLimit", "RateLimit");
  }
  w.end_object();
}

void examples(json::Writer& w, std::span<const std::string_view> names) {
  w.key("examples");
  w.begin_object();
  for (const auto name : names) {
    w.key(name);
    append_reference(w, "examples", name);
  }
  w.end_object();
}

void media(json::Writer& w, std::string_view type, std::string_view schema_json,
           std::span<const std::string_view> example_names) {
  w.key(type);
  w.begin_object();
  w.key("schema");
  w.raw(schema_json);
  if (!example_names.empty()) examples(w, example_names);
  w.end_object();
}

std::string schema_reference(std::string_view name) {
  if (name.empty()) return R"({"type":"string"})";
  return R"({"$ref":"#/components/schemas/)" + std::string(name) + "\"}";
}

void answer(json::Writer& w, const AnswerSpec& spec, bool head, bool limited) {
  w.key(std::to_string(spec.status));
  w.begin_object();
  append_member(w, "description", spec.description);
  answer_headers(w, spec.headers, limited);
  if (!head && !spec.forms[0].media.empty()) {
    w.key("content");
    w.begin_object();
    for (const auto& form : spec.forms) {
      if (form.media.empty()) continue;
      const std::span<const std::string_view> example(&form.example, form.example.empty() ? 0 : 1);
      media(w, form.media, schema_reference(form.schema), example);
    }
    w.end_object();
  }
  if (!head && !spec.links_json.empty()) {
    w.key("links");
    w.raw(spec.links_json);
  }
  w.end_object();
}

void responses(json::Writer& w, const Operation& operation, bool head, bool limited) {
  w.key("responses");
  w.begin_object();
  for (const auto& spec : operation.answers)
    if (spec.status != 0) answer(w, spec, head, limited);
  for (const auto status : problem_statuses(operation)) {
    // To HEAD the feed says only that it is there.
    if (head && operation.route == Route::kEvents && (status == 422 || status == 503)) continue;
    w.key(std::to_string(status));
    append_reference(w, "responses", response_name(status));
  }
  w.end_object();
}

void parameters(json::Writer& w, const Operation& operation, std::string_view path) {
  w.key("parameters");
  w.begin_array();
  if (path.find("{id}") != std::string_view::npos)
    append_reference(w, "parameters", path.starts_with("/api/v1/api-keys") ? "ApiKeyId" : "DetectionId");
  if (path.find("{sink}") != std::string_view::npos) append_reference(w, "parameters", "SinkName");
  if (path.find("{code}") != std::string_view::npos) append_reference(w, "parameters", "ProblemCode");
  if (path.find("{name}") != std::string_view::npos) append_reference(w, "parameters", "AssetName");
  if (operation.query != nullptr)
    for (const auto& spec : operation.query()) {
      w.begin_object();
      append_member(w, "name", spec.name);
      append_member(w, "in", "query");
      append_member(w, "description", spec.description);
      w.key("schema");
      append_field_schema(w, spec);
      w.end_object();
    }
  if ((operation.request_headers & kIdempotencyKey) != 0) append_reference(w, "parameters", "IdempotencyKey");
  if ((operation.request_headers & kIfNoneMatch) != 0) append_reference(w, "parameters", "IfNoneMatch");
  if ((operation.request_headers & kLastEventId) != 0) append_reference(w, "parameters", "LastEventId");
  append_reference(w, "parameters", "RequestId");
  append_reference(w, "parameters", "TraceParent");
  w.end_array();
}

void request_body(json::Writer& w, const BodySpec& body) {
  if (body.schema.empty()) return;
  w.key("requestBody");
  w.begin_object();
  w.key("required");
  w.boolean(true);
  w.key("content");
  w.begin_object();
  media(w, "application/json", schema_reference(body.schema), body.examples);
  if (!body.other_media.empty()) media(w, body.other_media, body.other_schema_json, {&body.other_example, 1});
  w.end_object();
  w.end_object();
}

void security(json::Writer& w, const Operation& operation, const MethodSpec& method) {
  w.key("security");
  w.begin_array();
  if (operation.route == Route::kAuthToken) w.raw(R"({},{"clientBasic":[]})");
  if (method.scope)
    for (const auto* scheme : {"bearer", "apiKey", "oauth2"}) {
      w.begin_object();
      w.key(scheme);
      w.begin_array();
      w.string(security::scope_name(*method.scope));
      w.end_array();
      w.end_object();
    }
  w.end_array();
}

void operation_object(json::Writer& w, const Operation& operation, bool head) {
  const auto& spec = route_table()[static_cast<std::size_t>(operation.route)];
  const auto& method = *spec.find(operation.method);
  const bool limited = is_rate_limited(operation);
  w.begin_object();
  w.key("operationId");
  w.string(std::string(operation.id) + (head ? "Head" : ""));
  w.key("tags");
  w.begin_array();
  w.string(operation.tag);
  w.end_array();
  w.key("summary");
  w.string(std::string(operation.summary) + (head ? std::string(" (header only)") : ""));
  if (!head) append_member(w, "description", operation.description);
  security(w, operation, method);
  if (!spec.on_api) {
    w.key("servers");
    w.raw(R"([{"url":"http://127.0.0.1:9100","description":"The metrics port"}])");
  }
  parameters(w, operation, spec.path);
  request_body(w, operation.body);
  responses(w, operation, head, limited);
  w.end_object();
}

std::string_view lower_name(Method method) noexcept {
  switch (method) {
    case Method::kPost: return "post";
    case Method::kPut: return "put";
    case Method::kDelete: return "delete";
    case Method::kGet:
    case Method::kHead:
    case Method::kPatch:
    case Method::kOptions:
    case Method::kOther: break;
  }
  return "get";
}

void paths(json::Writer& w) {
  w.key("paths");
  w.begin_object();
  for (std::size_t i = 0; i < route_table().size(); ++i) {
    w.key(route_table()[i].path);
    w.begin_object();
    for (const auto& operation : operations()) {
      if (static_cast<std::size_t>(operation.route) != i) continue;
      w.key(lower_name(operation.method));
      operation_object(w, operation, false);
      if (operation.method != Method::kGet) continue;
      w.key("head");
      operation_object(w, operation, true);
    }
    w.end_object();
  }
  w.end_object();
}

std::string make_document() {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  append_member(w, "openapi", "3.1.0");
  w.key("info");
  w.raw(kInfo);
  w.key("servers");
  w.raw(R"([{"url":"/"}])");
  w.key("tags");
  w.raw(kTags);
  paths(w);
  w.key("components");
  append_components(w);
  w.end_object();
  return out;
}

}  // namespace

const std::string& open_api_document() {
  static const std::string document = make_document();
  return document;
}

}  // namespace detection::http
