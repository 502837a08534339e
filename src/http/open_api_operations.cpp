// What each operation takes and answers.

#include <algorithm>

#include "http/open_api_parts.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kDetections = "detections", kDeliveries = "delivery", kAudits = "audit", kAccess = "access",
                           kService = "service";
constexpr std::string_view kJson = "application/json", kXml = "application/xml", kLines = "application/x-ndjson";

constexpr std::array<std::string_view, 3> kDetectionExamples{"DetectionByPixel", "DetectionByBox", "DetectionHeld"};
constexpr std::array<std::string_view, 1> kBatchExamples{"Batch"}, kKeyExamples{"CreateKey"},
    kTokenExamples{"GrantJson"}, kRevokeExamples{"Revoke"};
constexpr std::array<std::string_view, 2> kVerifyExamples{"Release", "Reject"};

// What can be done with a detection, or a key, that was just made.
constexpr std::string_view kDetectionLinks =
    R"({"read":{"operationId":"getDetection","parameters":{"id":"$response.header.X-Detection-ID"}},)"
    R"("event":{"operationId":"getDetectionCot","parameters":{"id":"$response.header.X-Detection-ID"}},)"
    R"("timeline":{"operationId":"getDetectionAudit","parameters":{"id":"$response.header.X-Detection-ID"}},)"
    R"("decide":{"operationId":"verifyDetection","parameters":{"id":"$response.header.X-Detection-ID"}}})";
constexpr std::string_view kKeyLinks =
    R"({"read":{"operationId":"getApiKey","parameters":{"id":"$response.body#/id"}},)"
    R"("rotate":{"operationId":"rotateApiKey","parameters":{"id":"$response.body#/id"}},)"
    R"("revoke":{"operationId":"revokeApiKey","parameters":{"id":"$response.body#/id"}}})";
constexpr std::string_view kRecordLinks =
    R"({"timeline":{"operationId":"getDetectionAudit","parameters":{"id":"$response.body#/detection_id"}}})";

constexpr std::string_view kEventsDescription =
    "Server-sent events, until one side ends it; the id of each is where the feed can be resumed by Last-Event-ID, "
    "also after a restart and at another process. To who sends none, the first block says the id where the feed "
    "begins, without an event: a break before the first event leaves no gap.\n\n"
    "`detection`: a detection was accepted; data is its Record. `delivery`: detections changed their state at a sink; "
    "data is a FeedDelivery. `verification`: a person decided; data is a FeedVerification. `gap`: what lay behind "
    "Last-Event-ID was pruned, or (reason unknown) that is no event of this store, maybe of one that was put back to "
    "an "
    "earlier state; the feed goes on with what happens from now on. `end`: the credential has expired or "
    "was "
    "revoked; it is the last event and has no id.\n\n"
    "A comment comes as a heartbeat. A reader that falls too far behind is cut off.";

constexpr std::array kOperations{
    Operation{.route = Route::kDetections,
              .method = Method::kPost,
              .id = "postDetection",
              .tag = kDetections,
              .summary = "Accept one detection",
              .description = "Durable before the answer. The same id and content again gives the first answer (200), "
                             "the same id and other content is a conflict. While the database is away it is durable on "
                             "the disk of the process that answers (202): it goes to the database, and from there on "
                             "its way, when that is back.",
              .request_headers = kIdempotencyKey,
              .body = {.schema = "Detection", .examples = kDetectionExamples},
              .answers = {{{.status = 200,
                            .description = "Accepted before: the first answer again.",
                            .forms = {{{kJson, "Answer", "Answer"}, {kXml, {}, "Event"}}},
                            .headers = kLocationHeader | kDetectionHeaders,
                            .links_json = kDetectionLinks},
                           {.status = 201,
                            .description = "Accepted, and on disk.",
                            .forms = {{{kJson, "Answer", "Answer"}, {kXml, {}, "Event"}}},
                            .headers = kLocationHeader | kDetectionHeaders,
                            .links_json = kDetectionLinks},
                           {.status = 202,
                            .description = "Accepted, and on the disk of this process only (`durability` is spooled).",
                            .forms = {{{kJson, "Answer", "AnswerSpooled"}, {kXml, {}, "Event"}}},
                            .headers = kLocationHeader | kDetectionHeaders,
                            .links_json = kDetectionLinks}}},
              .problems = {406, 409, 422, 507}},
    Operation{.route = Route::kDetections,
              .method = Method::kGet,
              .id = "listDetections",
              .tag = kDetections,
              .summary = "List detections, newest first",
              .description = "Page by page: send next_cursor as cursor until it is null.",
              .query = list_fields,
              .answers = {{{.status = 200,
                            .description = "One page.",
                            .forms = {{{kJson, "RecordList", "Empty"},
                                       {"application/geo+json", "FeatureCollection", "EmptyCollection"}}}}}},
              .problems = {406, 422}},
    Operation{
        .route = Route::kBatch,
        .method = Method::kPost,
        .id = "postBatch",
        .tag = kDetections,
        .summary = "Accept up to 10,000 detections",
        .description = "One result for each item, in order; all that were accepted are durable before the answer, "
                       "in the database (201) or in the spool of this process (202).",
        .body =
            {.schema = "DetectionBatch",
             .examples = kBatchExamples,
             .other_media = kLines,
             .other_schema_json =
                 R"({"type":"string","minLength":1,"pattern":"[^ \\t\\r\\n]","description":"One Detection a line; a line that is not JSON is that line's own error."})",
             .other_example = "BatchLines"},
        .answers = {{{.status = 200,
                      .description = "A result for each item.",
                      .forms = {{{kJson, "BatchAnswer", "BatchAnswer"}}}}}},
        .problems = {406, 507}},
    Operation{.route = Route::kDetection,
              .method = Method::kGet,
              .id = "getDetection",
              .tag = kDetections,
              .summary = "One detection",
              .request_headers = kIfNoneMatch,
              .answers = {{{.status = 200,
                            .description = "The record, or its CoT event.",
                            .forms = {{{kJson, "Record", "Record"}, {kXml, {}, "Event"}}},
                            .headers = kEtagHeader,
                            .links_json = kRecordLinks},
                           {.status = 304, .description = "It is as If-None-Match knows it.", .headers = kEtagHeader}}},
              .problems = {404, 406}},
    Operation{.route = Route::kDetectionCot,
              .method = Method::kGet,
              .id = "getDetectionCot",
              .tag = kDetections,
              .summary = "Its Cursor-on-Target event",
              .description = "As it would be sent now: time and stale are of this moment.",
              .answers = {{{.status = 200, .description = "The event.", .forms = {{{kXml, {}, "Event"}}}}}},
              .problems = {404, 406}},
    Operation{
        .route = Route::kDetectionAudit,
        .method = Method::kGet,
        .id = "getDetectionAudit",
        .tag = kAudits,
        .summary = "What happened to one detection, in order of time",
        .answers = {{{.status = 200, .description = "Its events.", .forms = {{{kJson, "Timeline", "Timeline"}}}}}},
        .problems = {404, 406}},
    Operation{.route = Route::kDetectionVerify,
              .method = Method::kPut,
              .id = "verifyDetection",
              .tag = kDetections,
              .summary = "Release or reject a held detection",
              .description =
                  "A RED detection is held until a person decides. Released, it is delivered; rejected, it is not, and "
                  "what TAK may have of it is taken back. The same decision again changes nothing; another one counts.",
              .body = {.schema = "Decision", .examples = kVerifyExamples},
              .answers = {{{.status = 200,
                            .description = "Decided, and on disk: the record.",
                            .forms = {{{kJson, "Record", "Record"}}},
                            .links_json = kRecordLinks}}},
              .problems = {404, 406, 409, 422, 507}},
    Operation{.route = Route::kEvents,
              .method = Method::kGet,
              .id = "getEvents",
              .tag = kDetections,
              .summary = "The live feed",
              .description = kEventsDescription,
              .request_headers = kLastEventId,
              .answers = {{{.status = 200,
                            .description = "A stream that does not end by itself.",
                            .forms = {{{"text/event-stream", "FeedEvent", "Feed"}}},
                            .headers = kNoStoreHeader}}},
              .problems = {406, 422}},
    Operation{.route = Route::kDelivery,
              .method = Method::kGet,
              .id = "getDelivery",
              .tag = kDeliveries,
              .summary = "The state of each sink",
              .answers = {{{.status = 200, .description = "The sinks.", .forms = {{{kJson, "Sinks", "Sinks"}}}}}},
              .problems = {406}},
    Operation{.route = Route::kDeliveryRetry,
              .method = Method::kPost,
              .id = "retryDelivery",
              .tag = kDeliveries,
              .summary = "Send a sink's dead letters again",
              .answers =
                  {{{.status = 200, .description = "They are due again.", .forms = {{{kJson, "Retried", "Retried"}}}}}},
              .problems = {404, 406, 507}},
    Operation{
        .route = Route::kDeadLetters,
        .method = Method::kGet,
        .id = "listDeadLetters",
        .tag = kDeliveries,
        .summary = "What a sink did not get, newest detection first",
        .description = "Events that could not be sent, or that ended the connection each time. Page by page: send "
                       "next_cursor as cursor until it is null.",
        .query = dead_letter_fields,
        .answers = {{{.status = 200, .description = "One page.", .forms = {{{kJson, "DeadLetters", "DeadLetters"}}}}}},
        .problems = {404, 406, 422}},
    Operation{.route = Route::kAudit,
              .method = Method::kGet,
              .id = "searchAudit",
              .tag = kAudits,
              .summary = "Search the audit, newest first",
              .description = "Page by page: send next_cursor as cursor until it is null.",
              .query = audit_fields,
              .answers = {{{.status = 200,
                            .description = "One page.",
                            .forms = {{{kJson, "AuditPage", "AuditPage"}, {kLines, {}, "AuditLines"}}},
                            .headers = kNextCursorHeader}}},
              .problems = {406, 422}},
    Operation{.route = Route::kAuditVerify,
              .method = Method::kGet,
              .id = "verifyAudit",
              .tag = kAudits,
              .summary = "Check the audit's hash chains",
              .description = "Reads every record: it takes a while in a large store.",
              .answers = {{{.status = 200,
                            .description = "The verdict, good or bad.",
                            .forms = {{{kJson, "AuditVerdict", "Intact"}}}}}},
              .problems = {406}},
    Operation{.route = Route::kAuthToken,
              .method = Method::kPost,
              .id = "grantToken",
              .tag = kAccess,
              .summary = "A short-lived token for an API key",
              .description = "The client-credentials grant of OAuth 2.0 (RFC 6749 section 4.4). The client is an API "
                             "key, named in the body or by HTTP Basic. A problem also has the members error and "
                             "error_description of section 5.2. Fields that are not known are ignored.",
              .body = {.schema = "TokenRequest",
                       .examples = kTokenExamples,
                       .other_media = "application/x-www-form-urlencoded",
                       .other_schema_json = R"({"$ref":"#/components/schemas/TokenRequest"})",
                       .other_example = "GrantForm"},
              .answers = {{{.status = 200,
                            .description = "The token.",
                            .forms = {{{kJson, "AccessToken", "AccessToken"}}},
                            .headers = kNoStoreHeader}}},
              .problems = {406}},
    Operation{.route = Route::kAuthRevoke,
              .method = Method::kPost,
              .id = "revokeToken",
              .tag = kAccess,
              .summary = "Refuse a token from now on",
              .description = "At once here, within seconds in every other process of the service.",
              .body = {.schema = "Revocation", .examples = kRevokeExamples},
              .answers = {{{.status = 200, .description = "Revoked.", .forms = {{{kJson, "Revoked", "Revoked"}}}}}},
              .problems = {406, 422, 507}},
    Operation{.route = Route::kApiKeys,
              .method = Method::kGet,
              .id = "listApiKeys",
              .tag = kAccess,
              .summary = "All API keys",
              .answers = {{{.status = 200,
                            .description = "The keys, without their secrets.",
                            .forms = {{{kJson, "ApiKeys", "ApiKeys"}}}}}},
              .problems = {406}},
    Operation{.route = Route::kApiKeys,
              .method = Method::kPost,
              .id = "createApiKey",
              .tag = kAccess,
              .summary = "Make an API key",
              .body = {.schema = "ApiKeyRequest", .examples = kKeyExamples},
              .answers = {{{.status = 201,
                            .description = "The key with its secret, shown this once.",
                            .forms = {{{kJson, "NewApiKey", "NewApiKey"}}},
                            .headers = kLocationHeader | kNoStoreHeader,
                            .links_json = kKeyLinks}}},
              .problems = {406, 422, 507}},
    Operation{.route = Route::kApiKey,
              .method = Method::kGet,
              .id = "getApiKey",
              .tag = kAccess,
              .summary = "One API key",
              .answers = {{{.status = 200,
                            .description = "The key, without its secret.",
                            .forms = {{{kJson, "ApiKey", "ApiKey"}}}}}},
              .problems = {404, 406}},
    Operation{.route = Route::kApiKey,
              .method = Method::kDelete,
              .id = "revokeApiKey",
              .tag = kAccess,
              .summary = "Revoke an API key",
              .description = "At once here, within seconds in every other process of the service. Only the list still "
                             "tells of it.",
              .answers = {{{.status = 204, .description = "It is good no more."}}},
              .problems = {404, 507}},
    Operation{.route = Route::kApiKeyRotate,
              .method = Method::kPost,
              .id = "rotateApiKey",
              .tag = kAccess,
              .summary = "A new secret for an API key",
              .description = "The old secret is good for 24 hours more. While it is, another rotation is a conflict "
                             "unless it is forced: it would end the secret that is still in use somewhere.",
              .query = rotate_fields,
              .answers = {{{.status = 200,
                            .description = "The key with its new secret, shown this once.",
                            .forms = {{{kJson, "NewApiKey", "NewApiKey"}}},
                            .headers = kNoStoreHeader}}},
              .problems = {404, 406, 409, 422, 507}},
    Operation{
        .route = Route::kJwks,
        .method = Method::kGet,
        .id = "getJwks",
        .tag = kAccess,
        .summary = "The public keys that tokens are signed by",
        .request_headers = kIfNoneMatch,
        .answers =
            {{{.status = 200, .description = "RFC 7517.", .forms = {{{kJson, "Jwks", "Jwks"}}}, .headers = kEtagHeader},
              {.status = 304, .description = "As If-None-Match knows it.", .headers = kEtagHeader}}}},
    Operation{
        .route = Route::kHealth,
        .method = Method::kGet,
        .id = "getHealth",
        .tag = kService,
        .summary = "The process is alive",
        .answers = {{{.status = 200, .description = "Alive.", .forms = {{{kJson, "Health", "Health"}}}},
                     {.status = 503, .description = "An event thread is stuck.", .forms = {{{kJson, "Health", {}}}}}}}},
    Operation{
        .route = Route::kReady,
        .method = Method::kGet,
        .id = "getReady",
        .tag = kService,
        .summary = "It can take a detection",
        .description = "Into the store or, while that cannot, into the spool. TAK's state is told here and never "
                       "decides.",
        .answers = {{{.status = 200, .description = "Ready.", .forms = {{{kJson, "Readiness", "Ready"}}}},
                     {.status = 503, .description = "Not ready.", .forms = {{{kJson, "Readiness", "NotReady"}}}}}}},
    Operation{
        .route = Route::kMetrics,
        .method = Method::kGet,
        .id = "getMetrics",
        .tag = kService,
        .summary = "Prometheus metrics, on the metrics port only",
        .answers = {{{.status = 200, .description = "Text format 0.0.4.", .forms = {{{"text/plain", {}, "Metrics"}}}}}},
        .problems = {503}},
    Operation{.route = Route::kOpenApi,
              .method = Method::kGet,
              .id = "getOpenApi",
              .tag = kService,
              .summary = "This document",
              .request_headers = kIfNoneMatch,
              .answers = {{{.status = 200,
                            .description = "OpenAPI 3.1.",
                            .forms = {{{kJson, "Anything", {}}}},
                            .headers = kEtagHeader},
                           {.status = 304, .description = "As If-None-Match knows it.", .headers = kEtagHeader}}}},
    Operation{.route = Route::kDocs,
              .method = Method::kGet,
              .id = "getDocs",
              .tag = kService,
              .summary = "This document as a page for people",
              .request_headers = kIfNoneMatch,
              .answers = {{{.status = 200,
                            .description = "HTML that asks nothing of any other place.",
                            .forms = {{{"text/html", {}, {}}}},
                            .headers = kEtagHeader},
                           {.status = 304, .description = "As If-None-Match knows it.", .headers = kEtagHeader}}}},
    Operation{.route = Route::kProblem,
              .method = Method::kGet,
              .id = "getProblem",
              .tag = kService,
              .summary = "What a problem's code means",
              .answers = {{{.status = 200,
                            .description = "The explanation.",
                            .forms = {{{kJson, "ProblemPage", "ProblemPage"}, {"text/html", {}, {}}}}}}},
              .problems = {404}},
    Operation{.route = Route::kConsole,
              .method = Method::kGet,
              .id = "getConsole",
              .tag = kService,
              .summary = "The operator's map, for a browser",
              .description = "Needs no credential by itself: it asks for one, and keeps it in memory.",
              .request_headers = kIfNoneMatch,
              .answers = {{{.status = 200,
                            .description = "HTML that asks nothing of any other place.",
                            .forms = {{{"text/html", {}, {}}}},
                            .headers = kEtagHeader},
                           {.status = 304, .description = "As If-None-Match knows it.", .headers = kEtagHeader}}}},
    Operation{.route = Route::kConsoleAsset,
              .method = Method::kGet,
              .id = "getConsoleAsset",
              .tag = kService,
              .summary = "A file of the operator's map",
              .description = "Its name holds the hash of its content.",
              .request_headers = kIfNoneMatch,
              .answers = {{{.status = 200,
                            .description = "The file, compressed as Accept-Encoding allows.",
                            .forms = {{{"*/*", {}, {}}}},
                            .headers = kEtagHeader},
                           {.status = 304, .description = "As If-None-Match knows it.", .headers = kEtagHeader}}},
              .problems = {404}},
};

}  // namespace

std::span<const Operation> operations() noexcept {
  return kOperations;
}

bool is_rate_limited(const Operation& operation) noexcept {
  using enum Route;
  return operation.route != kHealth && operation.route != kReady && operation.route != kMetrics &&
         operation.route != kConsole && operation.route != kConsoleAsset;
}

std::vector<unsigned> problem_statuses(const Operation& operation) {
  // The framing of any request can be wrong, its size, its speed, and the method for its path.
  std::vector<unsigned> statuses{400, 405, 408, 413, 414, 431};
  for (const auto status : operation.problems)
    if (status != 0) statuses.push_back(status);
  const auto& spec = route_table()[static_cast<std::size_t>(operation.route)];
  const bool scoped = spec.find(operation.method)->scope.has_value();
  if (scoped || operation.route == Route::kAuthToken) statuses.insert(statuses.end(), {401, 503});
  // A feed that fails at its beginning is unavailable, whatever the reason.
  if ((scoped && operation.route != Route::kEvents) || operation.route == Route::kAuthToken) statuses.push_back(500);
  if (scoped) statuses.push_back(403);
  if (is_rate_limited(operation)) statuses.push_back(429);
  if (!operation.body.schema.empty()) statuses.push_back(415);
  std::ranges::sort(statuses);
  return statuses;
}

}  // namespace detection::http
