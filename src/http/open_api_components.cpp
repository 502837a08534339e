// What the operations of /openapi.json refer to: security, parameters, headers, problems, schemas, examples.

#include <algorithm>

#include "http/detection_json.hpp"
#include "http/open_api_parts.hpp"
#include "http/problem.hpp"

namespace detection::http {

void append_member(json::Writer& w, std::string_view key, std::string_view text) {
  if (text.empty()) return;
  w.key(key);
  w.string(text);
}

void append_reference(json::Writer& w, std::string_view kind, std::string_view name) {
  w.begin_object();
  w.key("$ref");
  w.string("#/components/" + std::string(kind) + "/" + std::string(name));
  w.end_object();
}

/// "NotFound": what the answers to a status are called.
std::string response_name(unsigned status) {
  std::string name;
  for (const char c : status_reason(status))
    if (c != ' ') name.push_back(c);
  return name;
}

void append_header(json::Writer& w, std::string_view name, std::string_view component) {
  w.key(name);
  append_reference(w, "headers", component);
}

namespace {

constexpr std::string_view kHeaders =
    R"({"RequestId":{"required":true,"description":"As in the request, or minted.","schema":{"type":"string"}},)"
    R"("Location":{"required":true,"description":"Where it can be read.","schema":{"type":"string","format":"uri-reference"}},)"
    R"("DetectionId":{"required":true,"schema":{"type":"string","format":"uuid"}},)"
    R"("ConfidenceFlag":{"required":true,"schema":{"$ref":"#/components/schemas/Flag"}},)"
    R"("ETag":{"required":true,"description":"Of this content; for If-None-Match.","schema":{"type":"string"}},)"
    R"("NoStore":{"required":true,"schema":{"const":"no-store"}},)"
    R"("NextCursor":{"description":"Of lines, which have no place for it: send it as cursor for the next page; absent on the last one.","schema":{"type":"string"}},)"
    R"("RateLimitPolicy":{"description":"The limits that hold for the caller (draft-ietf-httpapi-ratelimit-headers); absent where they are off.","schema":{"type":"string"},"example":"\"subject\";q=4000;w=2"},)"
    R"("RateLimit":{"description":"What is left of them.","schema":{"type":"string"},"example":"\"subject\";r=3999;t=1"},)"
    R"("RetryAfter":{"required":true,"description":"Seconds to wait.","schema":{"type":"integer","minimum":0}},)"
    R"("Authenticate":{"required":true,"description":"How to authenticate (RFC 9110, RFC 6750).","schema":{"type":"string"}},)"
    R"("Allow":{"required":true,"description":"The methods of this path.","schema":{"type":"string"}}})";

constexpr std::string_view kParameters =
    R"({"RequestId":{"name":"X-Request-ID","in":"header","description":"Echoed where it is 1 to 128 characters of A-Z a-z 0-9 _ . : -, else another is minted.","schema":{"type":"string"}},)"
    R"("TraceParent":{"name":"traceparent","in":"header","description":"The caller's trace (W3C Trace Context). Its trace-id goes into the log and the audit trail; a value that breaks the rules is as good as none.","schema":{"type":"string"},"example":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},)"
    R"("IdempotencyKey":{"name":"Idempotency-Key","in":"header","description":"The id where it is a UUID, else mapped to one. Together with another detection_id it is refused.","schema":{"type":"string","minLength":1,"maxLength":255,"pattern":"^[!-~]([ -~]*[!-~])?$"}},)"
    R"("IfNoneMatch":{"name":"If-None-Match","in":"header","description":"Entity tags that are known already.","schema":{"type":"string"},"example":"\"none\""},)"
    R"("LastEventId":{"name":"Last-Event-ID","in":"header","description":"The id of the last event seen: the feed goes on behind it.","schema":{"type":"string"}},)"
    R"("DetectionId":{"name":"id","in":"path","required":true,"schema":{"type":"string","format":"uuid"}},)"
    R"("ApiKeyId":{"name":"id","in":"path","required":true,"description":"Of the API key, without dsk_.","schema":{"type":"string","minLength":1,"maxLength":64,"pattern":"^[A-Za-z0-9_-]+$"}},)"
    R"("SinkName":{"name":"sink","in":"path","required":true,"schema":{"type":"string","minLength":1,"maxLength":64,"pattern":"^[A-Za-z0-9_.-]+$"}},)"
    R"("AssetName":{"name":"name","in":"path","required":true,"schema":{"type":"string","pattern":"^[A-Za-z0-9_.-]+$"}},)"
    R"("ProblemCode":{"name":"code","in":"path","required":true,"schema":{"$ref":"#/components/schemas/ErrorCode"}}})";

std::string_view scope_text(security::Scope scope) noexcept {
  using enum security::Scope;
  switch (scope) {
    case kDetectionsRead: return "read detections, and the live feed";
    case kDetectionsWrite: return "send detections";
    case kDetectionsVerify: return "release and reject held detections";
    case kAuditRead: return "read the audit and the state of delivery";
    case kAdmin: return "API keys, revocation, retries";
  }
  return {};
}

void security_schemes(json::Writer& w) {
  w.key("securitySchemes");
  w.begin_object();
  w.key("bearer");
  w.raw(R"({"type":"http","scheme":"bearer","bearerFormat":"JWT","description":"A JWT, or an API key."})");
  w.key("apiKey");
  w.raw(R"({"type":"apiKey","in":"header","name":"X-API-Key","description":"dsk_<id>_<secret>"})");
  w.key("clientBasic");
  w.raw(R"({"type":"http","scheme":"basic","description":"An API key's id and secret, for the token endpoint."})");
  w.key("oauth2");
  w.begin_object();
  w.key("type");
  w.string("oauth2");
  w.key("flows");
  w.begin_object();
  w.key("clientCredentials");
  w.begin_object();
  w.key("tokenUrl");
  w.string(route_table()[static_cast<std::size_t>(Route::kAuthToken)].path);
  w.key("scopes");
  w.begin_object();
  for (const auto scope : security::kAllScopes) {
    w.key(security::scope_name(scope));
    w.string(scope_text(scope));
  }
  w.end_object();
  w.end_object();
  w.end_object();
  w.end_object();
  w.end_object();
}

void example_problem(json::Writer& w, ErrorCode code) {
  Error error{code, {}, {}};
  if (code == ErrorCode::kValidationFailed)
    error = {code, "one rule is broken: see errors", {{"sensor_metadata.pitch", "must be from -90 to 90 degrees"}}};
  std::string problem;
  append_problem(problem, error, "/api/v1/detections");
  w.key(error_code_name(code));
  w.begin_object();
  w.key("value");
  w.raw(problem);
  w.end_object();
}

/// The problem documents of one status; each code is an example.
void problem_response(json::Writer& w, unsigned status, std::span<const ErrorCode> codes) {
  w.key(response_name(status));
  w.begin_object();
  std::string description;
  for (const auto code : codes) {
    if (!description.empty()) description.push_back(' ');
    description.append("`").append(error_code_name(code)).append("`: ");
    description.append(problem_text(code).title).append(". ").append(problem_text(code).explanation);
  }
  append_member(w, "description", description);
  w.key("headers");
  w.begin_object();
  append_header(w, "X-Request-ID", "RequestId");
  if (status == 401) append_header(w, "WWW-Authenticate", "Authenticate");
  if (status == 403) append_header(w, "WWW-Authenticate", "Authenticate");
  if (status == 405) append_header(w, "Allow", "Allow");
  if (status == 429) {
    append_header(w, "RateLimit-Policy", "RateLimitPolicy");
    append_header(w, "RateLimit", "RateLimit");
  }
  if (status == 429 || status == 503) append_header(w, "Retry-After", "RetryAfter");
  w.end_object();
  w.key("content");
  w.begin_object();
  w.key("application/problem+json");
  w.begin_object();
  w.key("schema");
  append_reference(w, "schemas", "Problem");
  w.key("examples");
  w.begin_object();
  for (const auto code : codes) example_problem(w, code);
  w.end_object();
  w.end_object();
  w.end_object();
  w.end_object();
}

void problem_responses(json::Writer& w) {
  w.key("responses");
  w.begin_object();
  std::vector<unsigned> statuses;
  for (const auto code : error_codes()) statuses.push_back(http_status(code));
  std::ranges::sort(statuses);
  statuses.erase(std::ranges::unique(statuses).begin(), statuses.end());
  for (const auto status : statuses) {
    std::vector<ErrorCode> codes;
    for (const auto code : error_codes())
      if (http_status(code) == status) codes.push_back(code);
    problem_response(w, status, codes);
  }
  w.end_object();
}

template <class Values, class Name>
void words(json::Writer& w, std::string_view schema, const Values& values, Name&& name) {
  w.key(schema);
  w.begin_object();
  append_member(w, "type", "string");
  w.key("enum");
  w.begin_array();
  for (const auto& value : values) w.string(name(value));
  w.end_array();
  w.end_object();
}

void table_schema(json::Writer& w, std::string_view name, std::span<const FieldSpec> table) {
  w.key(name);
  append_table_schema(w, table);
}

void problem_schema(json::Writer& w) {
  w.key("Problem");
  w.raw(
      R"({"type":"object","description":"RFC 9457.","properties":{"type":{"type":"string","format":"uri-reference",)"
      R"("description":"A path of this service that explains the code."},"title":{"type":"string"},)"
      R"("status":{"type":"integer","minimum":400,"maximum":599},"detail":{"type":"string"},)"
      R"("instance":{"type":"string","description":"The path that was asked for."},)"
      R"("code":{"$ref":"#/components/schemas/ErrorCode"},"errors":{"type":"array","minItems":1,"maxItems":100,)"
      R"("description":"Every broken rule.","items":{"type":"object","properties":{"field":{"type":"string",)"
      R"("description":"As in the request: sensor_metadata.pitch."},"message":{"type":"string"}},)"
      R"("required":["field","message"],"additionalProperties":false}},)"
      R"("scope":{"description":"The scope that is missing.","$ref":"#/components/schemas/Scope"},)"
      R"("error":{"type":"string","description":"Token endpoint only (RFC 6749 section 5.2).","enum":["invalid_request",)"
      R"("invalid_client","invalid_grant","unauthorized_client","unsupported_grant_type","invalid_scope",)"
      R"("server_error"]},)"
      R"("error_description":{"type":"string","description":"Token endpoint only."}},)"
      R"("required":["type","title","status","detail","code"],"additionalProperties":false})");
}

/// The members of an object in JSON text, without its braces.
std::string_view members_of(std::string_view object) noexcept {
  return object.substr(1, object.rfind('}') - 1);
}

void schemas(json::Writer& w) {
  w.key("schemas");
  w.begin_object();
  append_detection_schemas(w);
  w.key("DetectionBatch");
  w.raw(R"({"type":"array","items":{"$ref":"#/components/schemas/Detection"},"maxItems":10000})");
  table_schema(w, "Decision", verify_fields());
  table_schema(w, "ApiKeyRequest", api_key_fields());
  table_schema(w, "TokenRequest", token_fields());
  table_schema(w, "Revocation", revoke_fields());
  const auto same = [](std::string_view word) { return word; };
  words(w, "State", list_fields()[kListState].one_of, same);
  words(w, "Flag", list_fields()[kListFlag].one_of, same);
  words(w, "Severity", audit_fields()[kAuditSeverity].one_of, same);
  words(w, "Scope", security::kAllScopes, security::scope_name);
  words(w, "ErrorCode", error_codes(), error_code_name);
  problem_schema(w);
  w.key("Anything");
  w.raw(R"({"type":"object"})");
  w.raw(members_of(kAnswerSchemas));
  w.end_object();
}

}  // namespace

void append_components(json::Writer& w) {
  w.begin_object();
  security_schemes(w);
  w.key("parameters");
  w.raw(kParameters);
  w.key("headers");
  w.raw(kHeaders);
  problem_responses(w);
  schemas(w);
  w.key("examples");
  w.raw(kExamples);
  w.end_object();
}

}  // namespace detection::http
