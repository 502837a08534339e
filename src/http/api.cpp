#include "http/api.hpp"

#include <random>

namespace detection::http {
namespace {

using store::DeliveryState;

constexpr unsigned kWorkers = 2;
constexpr std::size_t kWaitingReads = 128;
constexpr std::size_t kWaitingScrapes = 4;
constexpr std::string_view kRetrySoon = "Retry-After: 1\r\n";

constexpr std::size_t kSmallBodyBytes = 64u << 10;

store::DeliveryStatus status_of(DeliveryState state, const std::vector<pipeline::Courier*>& couriers) {
  store::DeliveryStatus status{state, {}};
  if (state == DeliveryState::kDiscarded) return status;
  for (const auto* courier : couriers) status.sinks.emplace_back(courier->status().sink, state);
  return status;
}

std::uint64_t seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

}  // namespace

ApiState::ApiState(const ServiceOptions& o, const Rooms& r)
    : options(o),
      rooms(r),
      metrics(r.metrics),
      workers(kWorkers, kWaitingReads),
      scraper(1, kWaitingScrapes),
      feed(r.store, r.metrics,
           {.heartbeat = o.heartbeat,
            .readers_most = o.feed_readers_most,
            .access = {[&authority = r.authority] { return authority.epoch(); },
                       [&authority = r.authority](const security::Principal& principal, UtcMicros now) {
                         return authority.good_until(principal, now);
                       }}}),
      gates(o.rate_limits, o.share_limits),
      sharing(gates, r.store, r.log),
      known(seed()),
      auth_watch(r.store, r.log),
      reads(o.cached_reads_most, r.metrics),
      audit_check(r.store, r.metrics),
      cors(o.cors_origins) {
  accepted[static_cast<std::size_t>(store::Disposition::kQueue)] = status_of(DeliveryState::kQueued, rooms.couriers);
  accepted[static_cast<std::size_t>(store::Disposition::kHold)] = status_of(DeliveryState::kHeld, rooms.couriers);
  accepted[static_cast<std::size_t>(store::Disposition::kDiscard)] =
      status_of(DeliveryState::kDiscarded, rooms.couriers);
  spooled.fill(status_of(DeliveryState::kSpooled, rooms.couriers));
  // An exercise goes to no sink, from the spool neither.
  spooled[static_cast<std::size_t>(store::Disposition::kDiscard)].sinks.clear();
}

const store::DeliveryStatus& ApiState::at_acceptance(store::Disposition disposition, bool in_spool) const {
  return (in_spool ? spooled : accepted)[static_cast<std::size_t>(disposition)];
}

Api::Api(ApiState& state, Loop& loop, Port port)
    : state_(state),
      loop_(loop),
      port_(port),
      metrics_(state.rooms.metrics),
      mint_(seed()),
      home_(*this),
      batch_home_(*this) {}

Api::~Api() = default;

std::expected<std::size_t, Refusal> Api::head(Exchange& x) {
  if (port_ == Port::kApi) state_.cors.append_headers(x.notes.headers, x.head.origin);
  const auto match = match_route(x.head.path, port_);
  if (!match) return unknown_path(x);
  const auto route = match->route;
  x.notes.route = static_cast<int>(route);
  const auto& spec = route_table()[static_cast<std::size_t>(route)];
  if (port_ == Port::kApi && state_.cors.is_preflight(x.head)) return std::size_t{0};
  const auto* method = spec.find(x.head.method);
  if (method == nullptr)
    return std::unexpected(Refusal{{ErrorCode::kMethodNotAllowed, "this path takes " + std::string(spec.allow)},
                                   "Allow: " + std::string(spec.allow) + "\r\n"});
  if (auto refusal = admit(x, route, *method)) return std::unexpected(std::move(*refusal));
  if (auto refusal = negotiate(x, route)) return std::unexpected(std::move(*refusal));
  return body_bytes_most(x, route);
}

std::expected<std::size_t, Refusal> Api::unknown_path(const Exchange& x) const {
  if (x.head.method == Method::kOptions && x.head.path == "*")
    return std::unexpected(
        Refusal{{ErrorCode::kMethodNotAllowed, "OPTIONS is not for the whole of the service"},
                port_ == Port::kApi ? "Allow: GET, HEAD, POST, PUT, DELETE\r\n" : "Allow: GET, HEAD\r\n"});
  return std::unexpected(Refusal{{ErrorCode::kNotFound, "there is no such path"}});
}

std::size_t Api::body_bytes_most(const Exchange& x, Route route) const {
  const auto method = x.head.method;
  if (method == Method::kGet || method == Method::kHead) return 0;
  if (route == Route::kBatch) return state_.options.batch_body_bytes_most;
  return route == Route::kDetections ? state_.options.image_body_bytes_most : kSmallBodyBytes;
}

void Api::answer_preflight(Exchange& x) {
  headers_.clear();
  Cors::append_preflight(headers_, route_table()[static_cast<std::size_t>(x.notes.route)].allow);
  x.answer({.status = 204, .headers = headers_});
}

void Api::request(Exchange& x) {
  if (x.head.method == Method::kOptions) return answer_preflight(x);
  const auto route = static_cast<Route>(x.notes.route);
  const auto match = match_route(x.head.path, port_);
  const auto with_id = [&](auto function) {
    const auto id = parse_uuid(match->parameter);
    if (!id) return refuse(x, {ErrorCode::kNotFound, "there is no such detection: its id is no UUID"});
    (this->*function)(x, *id);
  };
  switch (route) {
    case Route::kDetections: return x.head.method == Method::kPost ? post_detection(x) : get_list(x);
    case Route::kBatch: return post_batch(x);
    case Route::kDetection: return with_id(&Api::get_one);
    case Route::kDetectionCot: return with_id(&Api::get_cot);
    case Route::kDetectionAudit: return with_id(&Api::get_audit);
    case Route::kDetectionVerify: return with_id(&Api::put_verify);
    case Route::kEvents: return state_.feed.subscribe(x, loop_);
    case Route::kDelivery: return get_delivery(x);
    case Route::kDeliveryRetry: return post_retry(x, match->parameter);
    case Route::kDeadLetters: return get_dead_letters(x, match->parameter);
    case Route::kAudit: return get_audit_search(x);
    case Route::kAuditVerify: return get_audit_verify(x);
    case Route::kAuthToken: return post_token(x);
    case Route::kAuthRevoke: return post_revoke(x);
    case Route::kApiKeys: return x.head.method == Method::kPost ? post_api_key(x) : get_api_keys(x);
    case Route::kApiKey:
      return x.head.method == Method::kDelete ? delete_api_key(x, match->parameter) : get_api_key(x, match->parameter);
    case Route::kApiKeyRotate: return post_rotate(x, match->parameter);
    case Route::kJwks: return get_jwks(x);
    case Route::kDocs: return get_docs(x);
    case Route::kHealth: return get_health(x);
    case Route::kReady: return get_ready(x);
    case Route::kMetrics: return get_metrics(x);
    case Route::kOpenApi: return get_open_api(x);
    case Route::kProblem: return get_problem(x, match->parameter);
    case Route::kConsole: return get_console(x);
    case Route::kConsoleAsset: return get_console_asset(x, match->parameter);
  }
}

void Api::refuse(Exchange& x, Error error) {
  const auto status = http_status(error.code);
  if (status >= 500) x.notes.failure = error.detail;
  x.refuse({std::move(error), status == 503 ? std::string(kRetrySoon) : std::string()});
}

void Api::defer(Exchange& x) {
  x.notes.in_progress = true;
  state_.metrics.in_progress(1);
  x.defer();
}

void Api::answered(const Exchange& x, unsigned status) {
  if (x.notes.in_progress) state_.metrics.in_progress(-1);
  const auto took = std::chrono::steady_clock::now() - x.arrived;
  metrics_.count(x.notes.route, x.head.method, status, took);
  auto& log = state_.rooms.log;
  // Being unready while it drains is what a service should be.
  const bool failed = status >= 500 && !(x.notes.route == static_cast<int>(Route::kReady) &&
                                         state_.draining.load(std::memory_order_relaxed));
  if (!failed && !log.enabled(telemetry::Level::kDebug)) return;
  const auto route =
      x.notes.route < 0 ? std::string_view("none") : route_table()[static_cast<std::size_t>(x.notes.route)].path;
  log.write(failed ? telemetry::Level::kError : telemetry::Level::kDebug,
            failed ? "request_failed" : "request_answered",
            x.notes.failure ? std::string_view(*x.notes.failure) : std::string_view("answered"),
            {{"method", method_name(x.head.method)},
             {"route", route},
             {"status", status},
             {"request_id", x.request_id},
             telemetry::where_given("trace_id", x.trace_id),
             {"duration_ms", std::chrono::duration<double, std::milli>(took).count()}});
}

}  // namespace detection::http
