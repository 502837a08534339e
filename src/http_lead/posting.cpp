// POST of detections: parse, locate, hand to the writer, answer when it is durable.

#include "detection/json_writer.hpp"
#include "http/answer_json.hpp"
#include "http/routes.hpp"
#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

constexpr std::size_t kBatchItemsMost = 10'000;

std::string_view media_type(std::string_view content_type) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if ((a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] + 32) : a[i]) != lower[i]) return false;
  return true;
}

/// JSON text is UTF-8: another charset is another media type.
bool other_charset(std::string_view content_type) {
  const auto at = content_type.find("charset=");
  if (at == std::string_view::npos) return false;
  auto charset = content_type.substr(at + 8);
  if (charset.starts_with('"')) charset = charset.substr(1, charset.find('"', 1) - 1);
  charset = charset.substr(0, charset.find(';'));
  return !equal_ignoring_case(charset, "utf-8");
}

Result<void> check_encoding(const Request& request) {
  if (!request.content_encoding.empty() && request.content_encoding != "identity")
    return fail(ErrorCode::kUnsupportedMediaType, "the body must not be encoded (Content-Encoding)");
  if (other_charset(request.content_type)) return fail(ErrorCode::kUnsupportedMediaType, "the charset must be utf-8");
  return {};
}

/// The id that the header and the body state together.
Result<void> apply_idempotency_key(const Request& request, Detection& detection) {
  const auto& key = request.idempotency_key;
  if (key.empty()) return {};
  if (key.size() > 255)
    return fail(ErrorCode::kValidationFailed, "the request breaks the rules that are listed",
                {{"Idempotency-Key", "must have at most 255 characters"}});
  const auto id = pipeline::uuid_of_idempotency_key(key);
  if (detection.id && *detection.id != id)
    return fail(ErrorCode::kValidationFailed, "the request breaks the rules that are listed",
                {{"detection_id", "differs from the header Idempotency-Key"}});
  detection.id = id;
  return {};
}

const Error kBusy{ErrorCode::kStoreUnavailable, "too many detections are waiting to be written; try again", {}};
const Error kTaken{ErrorCode::kConflict, "this id was used before with other content", {}};

}  // namespace

struct Routes::SinglePosting final : Pending {
  SinglePosting(Routes& r, const Request& q, Respond answer) : routes(r), request(q), respond(std::move(answer)) {}

  void finish(store::CommitJob& job) override {
    routes.processing_s_.observe(std::chrono::duration<double>(system_now() - request.received).count());
    if (job.error) {
      routes.failed_.increment();
      return respond(problem_response(*job.error, request.path));
    }
    const auto& result = job.results.front();
    if (result.outcome == store::CommitOutcome::kConflict) {
      routes.conflict_.increment();
      return respond(problem_response(kTaken, request.path));
    }
    const bool repeated = result.outcome == store::CommitOutcome::kRepeated;
    const auto& item = job.items.front();
    const auto& located = repeated ? result.first->located : item.located;
    const auto disposition = repeated ? result.first->disposition : item.disposition;
    (repeated ? routes.repeated_ : routes.accepted_)[static_cast<std::size_t>(located.verdict.flag)].increment();

    Response response;
    response.status = repeated ? 200 : 201;
    std::string id;
    append_uuid(id, located.id);
    response.headers.reserve(192);
    response.headers.append("Location: /api/v1/detections/").append(id).append("\r\nX-Detection-ID: ").append(id);
    response.headers.append("\r\nX-Confidence-Flag: ").append(flag_name(located.verdict.flag)).append("\r\n");
    if (xml) {
      response.content_type = "application/xml";
      cot::append_xml(response.body, cot::make_event(located, system_now(), routes.rooms_.event));
    } else {
      response.body.reserve(768);
      append_answer(response.body, located, initial_delivery(disposition, routes.sinks_));
    }
    respond(std::move(response));
  }

  Routes& routes;
  const Request& request;
  Respond respond;
  bool xml = false;
};

void Routes::post_detection(Request& request, RouteContext& context, Respond respond) {
  const auto refuse = [&](const Error& error) {
    refused_.increment();
    respond(problem_response(error, request.path));
  };
  const auto principal = authorise(request, security::Scope::kDetectionsWrite);
  if (!principal) return respond(problem_response(principal.error(), request.path));
  if (const auto encoding = check_encoding(request); !encoding) return refuse(encoding.error());
  if (!equal_ignoring_case(media_type(request.content_type), "application/json"))
    return refuse({ErrorCode::kUnsupportedMediaType, "the Content-Type must be application/json", {}});
  const double json = accept_quality(request.accept, "application/json");
  const double xml = accept_quality(request.accept, "application/xml");
  if (json == 0 && xml == 0)
    return refuse({ErrorCode::kNotAcceptable, "there is application/json and application/xml", {}});

  auto detection = context.parser.parse(request.body, {.now = request.received});
  if (!detection) return refuse(detection.error());
  if (request.body.size() > options_.body_bytes_most && !detection->image_sha256)
    return refuse({ErrorCode::kPayloadTooLarge, "without image_base64 the body may have at most " +
                                                    std::to_string(options_.body_bytes_most) + " bytes", {}});
  if (const auto key = apply_idempotency_key(request, *detection); !key) return refuse(key.error());
  auto acceptance = rooms_.acceptor.accept(std::move(*detection),
                                           {(*principal)->subject, request.request_id, request.received}, context.mint);
  if (!acceptance) return refuse(acceptance.error());

  auto pending = std::make_unique<SinglePosting>(*this, request, std::move(respond));
  pending->xml = xml > json;
  auto job = std::make_unique<store::CommitJob>();
  job->items.push_back(std::move(*acceptance));
  job->home = &context;
  job->context = static_cast<Pending*>(pending.get());
  if (!rooms_.store.submit(job)) return pending->respond(problem_response(kBusy, request.path));
  (void)pending.release();  // comes back with its job
}

struct Routes::BatchPosting final : Pending {
  BatchPosting(Routes& r, const Request& q, Respond answer) : routes(r), request(q), respond(std::move(answer)) {}

  void finish(store::CommitJob& job) override {
    if (job.error) {
      routes.failed_.increment(static_cast<double>(job.items.size()));
      return respond(problem_response(*job.error, request.path));
    }
    answer(&job);
  }

  /// One result per item in order: of the store where it came so far, else its own error.
  void answer(store::CommitJob* job) {
    Response response;
    response.body.reserve(errors.size() * 700 + 32);
    json::Writer w(response.body);
    w.begin_object();
    w.key("results");
    w.begin_array();
    std::size_t committed = 0;
    for (const auto& error : errors) {
      w.raw("");  // the separator
      if (error)
        append_item_problem(response.body, *error);
      else
        append_result(response.body, job->items[committed], job->results[committed]), ++committed;
    }
    w.end_array();
    w.end_object();
    respond(std::move(response));
  }

  void append_result(std::string& out, const store::Acceptance& item, const store::CommitResult& result) {
    if (result.outcome == store::CommitOutcome::kConflict) {
      routes.conflict_.increment();
      return append_item_problem(out, kTaken);
    }
    const bool repeated = result.outcome == store::CommitOutcome::kRepeated;
    const auto& located = repeated ? result.first->located : item.located;
    const auto disposition = repeated ? result.first->disposition : item.disposition;
    (repeated ? routes.repeated_ : routes.accepted_)[static_cast<std::size_t>(located.verdict.flag)].increment();
    out.append(repeated ? "{\"status\":200," : "{\"status\":201,");
    const std::size_t at = out.size();
    append_answer(out, located, initial_delivery(disposition, routes.sinks_));
    out.erase(at, 1);  // the answer's own brace: its members go on in this object
  }

  void append_item_problem(std::string& out, const Error& error) { append_problem(out, error, {}); }

  Routes& routes;
  const Request& request;
  Respond respond;
  std::vector<std::optional<Error>> errors;  ///< per item of the request
};

void Routes::post_batch(Request& request, RouteContext& context, Respond respond) {
  const auto refuse = [&](const Error& error) { respond(problem_response(error, request.path)); };
  const auto principal = authorise(request, security::Scope::kDetectionsWrite);
  if (!principal) return refuse(principal.error());
  if (const auto encoding = check_encoding(request); !encoding) return refuse(encoding.error());
  const auto type = media_type(request.content_type);
  const bool lines = equal_ignoring_case(type, "application/x-ndjson");
  if (!lines && !equal_ignoring_case(type, "application/json"))
    return refuse({ErrorCode::kUnsupportedMediaType,
                   "the Content-Type must be application/json (an array) or application/x-ndjson", {}});
  if (accept_quality(request.accept, "application/json") == 0)
    return refuse({ErrorCode::kNotAcceptable, "there is application/json", {}});

  const ParseRules rules{.now = request.received};
  auto detections = lines ? context.parser.parse_lines(request.body, rules, kBatchItemsMost)
                          : context.parser.parse_array(request.body, rules, kBatchItemsMost);
  if (!detections) return refuse(detections.error());

  auto pending = std::make_unique<BatchPosting>(*this, request, std::move(respond));
  pending->errors.resize(detections->size());
  auto job = std::make_unique<store::CommitJob>();
  job->items.reserve(detections->size());
  for (std::size_t i = 0; i < detections->size(); ++i) {
    auto& detection = (*detections)[i];
    auto acceptance =
        detection ? rooms_.acceptor.accept(std::move(*detection),
                                           {(*principal)->subject, request.request_id, request.received}, context.mint)
                  : Result<store::Acceptance>(std::unexpected(std::move(detection.error())));
    if (acceptance) {
      job->items.push_back(std::move(*acceptance));
    } else {
      refused_.increment();
      pending->errors[i] = std::move(acceptance.error());
    }
  }
  if (job->items.empty()) return pending->answer(job.get());
  job->home = &context;
  job->context = static_cast<Pending*>(pending.get());
  if (!rooms_.store.submit(job)) return pending->respond(problem_response(kBusy, request.path));
  (void)pending.release();
}

}  // namespace detection::http
