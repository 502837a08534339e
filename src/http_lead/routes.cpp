#include "http/routes.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <charconv>

#include "detection/json_writer.hpp"
#include "http/answer_json.hpp"

namespace detection::http {
namespace {

using security::Scope;

constexpr std::size_t kReaderThreads = 2;
constexpr std::size_t kReadsQueuedMost = 256;
constexpr std::size_t kListLimitMost = 1000;
constexpr std::size_t kListLimit = 100;

std::unexpected<Error> wrong_query(std::string field, std::string message) {
  return fail(ErrorCode::kValidationFailed, "the query breaks the rules that are listed",
              {{std::move(field), std::move(message)}});
}

Result<std::optional<double>> as_double(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || !(value >= -1e6 && value <= 1e6))
    return std::nullopt;
  return value;
}

Result<store::BoundingBox> parse_bbox(std::string_view text) {
  std::array<double, 4> edges{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto end = i < 3 ? text.find(',') : text.size();
    const auto value = end == std::string_view::npos ? Result<std::optional<double>>(std::nullopt)
                                                     : as_double(text.substr(0, end));
    if (!value || !*value) return wrong_query("bbox", "must be west,south,east,north in degrees");
    edges[i] = **value;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto [west, south, east, north] = edges;
  if (west < -180 || west > 180 || east < -180 || east > 180 || south < -90 || north > 90 || south > north)
    return wrong_query("bbox", "must be west,south,east,north in degrees, south <= north, within the world");
  return store::BoundingBox{west, south, east, north};
}

struct ListQuery {
  store::ListFilter filter;
  std::optional<std::int64_t> before{};
  std::size_t limit = kListLimit;
};

Result<void> read_parameter(const std::string& name, const std::string& value, ListQuery& query) {
  auto& filter = query.filter;
  if (name == "bbox") {
    const auto box = parse_bbox(value);
    if (!box) return std::unexpected(box.error());
    filter.bbox = *box;
  } else if (name == "since" || name == "until") {
    const auto time = parse_rfc3339(value);
    if (!time) return wrong_query(name, time.error().detail);
    (name == "since" ? filter.since : filter.until) = *time;
  } else if (name == "class") {
    filter.object_class = value;
  } else if (name == "source") {
    filter.source = value;
  } else if (name == "flag") {
    filter.flag = parse_flag(value);
    if (!filter.flag) return wrong_query(name, "must be GREEN, YELLOW or RED");
  } else if (name == "state") {
    filter.state = store::parse_delivery_state(value);
    if (!filter.state)
      return wrong_query(name, "must be queued, held, delivered, rejected, dead_letter, discarded or spooled");
  } else if (name == "limit" || name == "cursor") {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool whole = problem == std::errc{} && end == value.data() + value.size() && number >= 1;
    if (name == "limit") {
      if (!whole || number > static_cast<std::int64_t>(kListLimitMost))
        return wrong_query(name, "must be a whole number from 1 to 1000");
      query.limit = static_cast<std::size_t>(number);
    } else {
      if (!whole) return wrong_query(name, "is not a cursor of ours");
      query.before = number;
    }
  } else {
    return wrong_query(name, "is not a parameter of this route");
  }
  return {};
}

Result<ListQuery> parse_list_query(std::string_view text) {
  ListQuery query;
  Error all{ErrorCode::kValidationFailed, "the query breaks the rules that are listed", {}};
  for (const auto& name : query_names(text)) {
    const auto value = query_value(text, name);
    auto done = value ? read_parameter(name, value->value_or(""), query) : Result<void>(std::unexpected(value.error()));
    if (!done) all.fields.insert(all.fields.end(), done.error().fields.begin(), done.error().fields.end());
  }
  if (!all.fields.empty()) return std::unexpected(std::move(all));
  return query;
}

bool equal_to_bearer(std::string_view scheme) {
  return scheme.size() == 7 && (scheme[0] == 'B' || scheme[0] == 'b') && scheme.substr(1) == "earer ";
}

}  // namespace

struct Routes::Readers {
  boost::asio::thread_pool pool{kReaderThreads};
  std::atomic<std::size_t> queued{0};
};

void RouteContext::committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept {
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    first = done_.empty();
    if (first)
      done_ = std::move(jobs);
    else
      for (auto& job : jobs) done_.push_back(std::move(job));
  }
  if (first) post_([this] { finish(); });
}

void RouteContext::finish() {
  std::vector<std::unique_ptr<store::CommitJob>> jobs;
  {
    const std::scoped_lock lock(mutex_);
    jobs.swap(done_);
  }
  for (auto& job : jobs) {
    const std::unique_ptr<Pending> pending(static_cast<Pending*>(job->context));
    pending->finish(*job);
  }
}

Routes::Routes(const ServiceOptions& options, const Rooms& rooms)
    : options_(options), rooms_(rooms), readers_(std::make_unique<Readers>()) {
  using namespace telemetry;
  auto& metrics = rooms.metrics;
  for (const auto* courier : rooms.couriers) sinks_.push_back(courier->status().sink);
  auth_good_ = metrics.counter(kAuthAttemptsTotal, {"success"});
  auth_bad_ = metrics.counter(kAuthAttemptsTotal, {"failure"});
  auth_scope_ = metrics.counter(kAuthAttemptsTotal, {"insufficient_scope"});
  for (const Flag flag : {Flag::kGreen, Flag::kYellow, Flag::kRed}) {
    accepted_[static_cast<std::size_t>(flag)] = metrics.counter(kDetectionsProcessedTotal, {"accepted", flag_name(flag)});
    repeated_[static_cast<std::size_t>(flag)] = metrics.counter(kDetectionsProcessedTotal, {"repeated", flag_name(flag)});
  }
  refused_ = metrics.counter(kDetectionsProcessedTotal, {"refused", "none"});
  conflict_ = metrics.counter(kDetectionsProcessedTotal, {"conflict", "none"});
  failed_ = metrics.counter(kDetectionsProcessedTotal, {"failed", "none"});
  processing_s_ = metrics.histogram(kDetectionProcessingDurationSeconds);
}

Routes::~Routes() { stop(); }
void Routes::stop() { readers_->pool.join(); }

std::pair<Route, std::string> Routes::match(std::string_view path, bool metrics_port) {
  if (path == "/health") return {Route::kHealth, {}};
  if (path == "/ready") return {Route::kReady, {}};
  if (metrics_port) return {path == "/metrics" ? Route::kMetrics : Route::kNone, {}};
  if (path == "/openapi.json") return {Route::kOpenApi, {}};
  constexpr std::string_view kProblems = "/problems/", kDetections = "/api/v1/detections";
  if (path.starts_with(kProblems)) return {Route::kProblem, std::string(path.substr(kProblems.size()))};
  if (path == "/api/v1/delivery") return {Route::kDelivery, {}};
  if (!path.starts_with(kDetections)) return {Route::kNone, {}};
  path.remove_prefix(kDetections.size());
  if (path.empty()) return {Route::kDetections, {}};
  if (path == "/batch") return {Route::kBatch, {}};
  if (path.front() != '/') return {Route::kNone, {}};
  path.remove_prefix(1);
  const auto slash = std::min(path.find('/'), path.size());
  std::string id(path.substr(0, slash));
  const auto rest = path.substr(slash);
  if (id.empty()) return {Route::kNone, {}};
  if (rest.empty()) return {Route::kDetection, std::move(id)};
  if (rest == "/cot") return {Route::kDetectionCot, std::move(id)};
  if (rest == "/audit") return {Route::kDetectionAudit, std::move(id)};
  return {Route::kNone, {}};
}

std::size_t Routes::body_bytes_most(Method method, Route route) const noexcept {
  if (method != Method::kPost) return options_.body_bytes_most;
  if (route == Route::kBatch) return options_.batch_body_bytes_most;
  if (route == Route::kDetections) return options_.image_body_bytes_most;
  return options_.body_bytes_most;
}

Result<std::shared_ptr<const security::Principal>> Routes::authorise(const Request& request, Scope scope) {
  const std::string_view header = request.authorization;
  if (!equal_to_bearer(header.substr(0, 7))) {
    auth_bad_.increment();
    return fail(ErrorCode::kUnauthorized, "send a bearer token: Authorization: Bearer <token>");
  }
  auto principal = rooms_.tokens.verify(header.substr(7), request.received);
  if (!principal) {
    auth_bad_.increment();
    return principal;
  }
  if (!(*principal)->scopes.has(scope)) {
    auth_scope_.increment();
    return fail(ErrorCode::kInsufficientScope, "the token lacks the scope " + std::string(security::scope_name(scope)));
  }
  auth_good_.increment();
  return principal;
}

void Routes::handle(Request& request, RouteContext& context, Respond respond) {
  const bool get = request.method == Method::kGet || request.method == Method::kHead;
  const bool post_only = request.route == Route::kBatch;
  const bool both = request.route == Route::kDetections;
  if (request.route == Route::kNone)
    return respond(problem_response({ErrorCode::kNotFound, "there is nothing at this path", {}}, request.path));
  if (!(both ? get || request.method == Method::kPost : post_only ? request.method == Method::kPost : get)) {
    auto response = problem_response({ErrorCode::kMethodNotAllowed, "this path takes another method", {}}, request.path);
    response.headers = both ? "Allow: GET, HEAD, POST\r\n" : post_only ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n";
    return respond(std::move(response));
  }
  switch (request.route) {
    case Route::kDetections:
      if (request.method == Method::kPost) return post_detection(request, context, std::move(respond));
      return read(request, context, Scope::kDetectionsRead, [this, &request] { return list(request); }, std::move(respond));
    case Route::kBatch: return post_batch(request, context, std::move(respond));
    case Route::kDetection:
      return read(request, context, Scope::kDetectionsRead, [this, &request] { return one(request); }, std::move(respond));
    case Route::kDetectionCot:
      return read(request, context, Scope::kDetectionsRead, [this, &request] { return cot(request); }, std::move(respond));
    case Route::kDetectionAudit:
      return read(request, context, Scope::kAuditRead, [this, &request] { return audit(request); }, std::move(respond));
    case Route::kDelivery:
      return read(request, context, Scope::kAuditRead, [this, &request] { return delivery(request); }, std::move(respond));
    case Route::kHealth: return respond(health());
    case Route::kReady: return respond(ready());
    case Route::kMetrics:
      return respond({.content_type = "text/plain; version=0.0.4; charset=utf-8", .headers = {}, .body = rooms_.metrics.expose()});
    case Route::kOpenApi: return respond({.headers = {}, .body = std::string(kOpenApiDocument)});
    case Route::kProblem: return respond(problem_page(request));
    case Route::kNone: break;
  }
}

void Routes::read(Request& request, RouteContext& context, Scope scope, std::function<Response()> read_it,
                  Respond respond) {
  if (auto principal = authorise(request, scope); !principal)
    return respond(problem_response(principal.error(), request.path));
  if (readers_->queued.fetch_add(1) >= kReadsQueuedMost) {
    readers_->queued.fetch_sub(1);
    return respond(problem_response({ErrorCode::kStoreUnavailable, "too many reads are waiting", {}}, request.path));
  }
  boost::asio::post(readers_->pool, [this, &context, read_it = std::move(read_it), respond = std::move(respond)]() mutable {
    auto response = std::make_shared<Response>(read_it());
    readers_->queued.fetch_sub(1);
    context.post()([response, respond = std::move(respond)] { respond(std::move(*response)); });
  });
}

Response Routes::list(const Request& request) {
  const double json = accept_quality(request.accept, "application/json");
  const double geojson = accept_quality(request.accept, "application/geo+json");
  if (json == 0 && geojson == 0)
    return problem_response({ErrorCode::kNotAcceptable, "there is application/json and application/geo+json", {}},
                            request.path);
  const auto query = parse_list_query(request.query);
  if (!query) return problem_response(query.error(), request.path);
  const auto page = rooms_.store.list(query->filter, query->before, query->limit);
  if (!page) return problem_response(page.error(), request.path);
  Response response;
  if (geojson > json) {
    response.content_type = "application/geo+json";
    append_geojson(response.body, *page);
  } else {
    append_list(response.body, *page);
  }
  return response;
}

namespace {

/// The detection of the path, or the problem to answer.
std::expected<store::StoredDetection, Response> stored_of(store::Store& store, const Request& request) {
  const auto not_found = [&] {
    return std::unexpected(problem_response({ErrorCode::kNotFound, "there is no detection of this id", {}}, request.path));
  };
  const auto id = parse_uuid(request.parameter);
  if (!id) return not_found();
  auto found = store.find(*id);
  if (!found) return std::unexpected(problem_response(found.error(), request.path));
  if (!*found) return not_found();
  return std::move(**found);
}

bool acceptable(const Request& request, std::string_view type) { return accept_quality(request.accept, type) > 0; }

Response not_acceptable(const Request& request, std::string_view there_is) {
  return problem_response({ErrorCode::kNotAcceptable, "there is " + std::string(there_is), {}}, request.path);
}

}  // namespace

Response Routes::one(const Request& request) {
  const double json = accept_quality(request.accept, "application/json");
  if (accept_quality(request.accept, "application/xml") > json) return cot(request);
  if (json == 0) return not_acceptable(request, "application/json and application/xml");
  const auto stored = stored_of(rooms_.store, request);
  if (!stored) return stored.error();
  const auto delivery = rooms_.store.delivery_status(stored->located.id);
  if (!delivery) return problem_response(delivery.error(), request.path);
  Response response;
  append_record(response.body, *stored, *delivery);
  return response;
}

Response Routes::cot(const Request& request) {
  if (!acceptable(request, "application/xml")) return not_acceptable(request, "application/xml");
  const auto stored = stored_of(rooms_.store, request);
  if (!stored) return stored.error();
  Response response{.content_type = "application/xml", .headers = {}, .body = {}};
  cot::append_xml(response.body, cot::make_event(stored->located, system_now(), rooms_.event));
  return response;
}

Response Routes::audit(const Request& request) {
  if (!acceptable(request, "application/json")) return not_acceptable(request, "application/json");
  const auto stored = stored_of(rooms_.store, request);
  if (!stored) return stored.error();
  const auto events = rooms_.store.timeline(stored->located.id);
  if (!events) return problem_response(events.error(), request.path);
  Response response;
  append_timeline(response.body, stored->located.id, *events);
  return response;
}

std::vector<pipeline::CourierStatus> Routes::courier_states() const {
  std::vector<pipeline::CourierStatus> states;
  for (const auto* courier : rooms_.couriers) states.push_back(courier->status());
  return states;
}

Response Routes::delivery(const Request& request) {
  if (!acceptable(request, "application/json")) return not_acceptable(request, "application/json");
  const auto queues = rooms_.store.sink_queues();
  if (!queues) return problem_response(queues.error(), request.path);
  Response response;
  append_delivery(response.body, *queues, courier_states(), system_now());
  return response;
}

Response Routes::health() const {
  Response response;
  json::Writer w(response.body);
  w.begin_object();
  w.key("status");
  w.string("alive");
  w.key("version");
  w.string(options_.version);
  w.key("commit");
  w.string(options_.commit);
  w.key("slot");
  if (options_.slot.empty())
    w.null();
  else
    w.string(options_.slot);
  w.key("uptime_s");
  w.number(std::chrono::duration<double>(system_now() - started_).count());
  w.end_object();
  return response;
}

Response Routes::ready() const {
  const auto store = rooms_.store.status();
  const bool ready = store.writable && !draining_;
  Response response;
  response.status = ready ? 200 : 503;
  json::Writer w(response.body);
  w.begin_object();
  w.key("status");
  w.string(ready ? "ready" : draining_ ? "draining" : "unavailable");
  w.key("store");
  w.begin_object();
  w.key("writable");
  w.boolean(store.writable);
  w.key("detections");
  w.integer(store.detections);
  w.key("waiting");
  w.integer(store.waiting);
  w.end_object();
  w.key("sinks");
  w.begin_array();
  for (const auto& courier : courier_states()) {
    w.begin_object();
    w.key("name");
    w.string(courier.sink);
    w.key("connected");
    w.boolean(courier.connection.connected);
    w.key("confirms");
    w.boolean(courier.confirms);
    w.end_object();
  }
  w.end_array();
  w.end_object();
  return response;
}

Response Routes::problem_page(const Request& request) const {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const auto known = static_cast<ErrorCode>(code);
    if (error_code_name(known) != request.parameter) continue;
    Response response;
    append_problem(response.body, {known, "This page explains the problem type.", {}}, {});
    return response;
  }
  return problem_response({ErrorCode::kNotFound, "there is no such problem type", {}}, request.path);
}

}  // namespace detection::http
