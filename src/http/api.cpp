#include "http/api.hpp"

#include <array>
#include <random>
#include <span>

#include "http/media.hpp"

namespace detection::http {
namespace {

using store::DeliveryState;

constexpr unsigned kWorkers = 2;
constexpr std::size_t kWaitingReads = 128;
constexpr std::size_t kWaitingScrapes = 4;
constexpr std::string_view kRetrySoon = "Retry-After: 1\r\n";

constexpr std::string_view kJson = "application/json", kXml = "application/xml", kGeoJson = "application/geo+json",
                           kHtml = "text/html", kNdjson = "application/x-ndjson";

store::DeliveryStatus status_of(DeliveryState state, const std::vector<pipeline::Courier*>& couriers) {
  store::DeliveryStatus status{state, {}};
  if (state == DeliveryState::kDiscarded) return status;
  for (const auto* courier : couriers) status.sinks.emplace_back(courier->status().sink, state);
  return status;
}

/// Text of ours or of the token's check as a quoted-string.
std::string quoted_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) out.push_back(c == '"' || c == '\\' || c < 0x20 || c > 0x7e ? '\'' : c);
  return out + "\"";
}

std::uint64_t seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

}  // namespace

ApiState::ApiState(const ServiceOptions& o, const Rooms& r)
    : options(o), rooms(r), metrics(r.metrics), workers(kWorkers, kWaitingReads), scraper(1, kWaitingScrapes) {
  accepted[static_cast<std::size_t>(store::Disposition::kQueue)] = status_of(DeliveryState::kQueued, rooms.couriers);
  accepted[static_cast<std::size_t>(store::Disposition::kHold)] = status_of(DeliveryState::kHeld, rooms.couriers);
  accepted[static_cast<std::size_t>(store::Disposition::kDiscard)] =
      status_of(DeliveryState::kDiscarded, rooms.couriers);
}

const store::DeliveryStatus& ApiState::at_acceptance(store::Disposition disposition) const {
  return accepted[static_cast<std::size_t>(disposition)];
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
  const auto match = match_route(x.head.path, port_);
  if (!match) {
    if (x.head.method == Method::kOptions && x.head.path == "*")
      return std::unexpected(
          Refusal{{ErrorCode::kMethodNotAllowed, "OPTIONS is not supported"}, "Allow: GET, HEAD, POST\r\n"});
    return std::unexpected(Refusal{{ErrorCode::kNotFound, "there is no such path"}});
  }
  x.notes.route = static_cast<int>(match->route);
  const auto& spec = route_table()[static_cast<std::size_t>(match->route)];
  const bool reads = x.head.method == Method::kGet || x.head.method == Method::kHead;
  const bool posts = x.head.method == Method::kPost;
  if (!(reads && spec.get) && !(posts && spec.post)) {
    std::string allow("Allow: ");
    allow.append(spec.allow).append("\r\n");
    return std::unexpected(
        Refusal{{ErrorCode::kMethodNotAllowed, "this path takes " + std::string(spec.allow)}, std::move(allow)});
  }
  if (const auto& scope = reads ? spec.get_scope : spec.post_scope)
    if (auto refusal = authenticate(x, *scope)) return std::unexpected(std::move(*refusal));
  if (auto refusal = negotiate(x, match->route)) return std::unexpected(std::move(*refusal));
  if (reads) return std::size_t{0};
  return match->route == Route::kBatch ? state_.options.batch_body_bytes_most : state_.options.image_body_bytes_most;
}

std::optional<Refusal> Api::authenticate(Exchange& x, security::Scope scope) {
  static constexpr std::string_view kBearer = "Bearer ";
  const auto text = x.head.authorization;
  if (text.empty()) {
    state_.metrics.authentication(Authentication::kMissing);
    return Refusal{{ErrorCode::kUnauthorized, "a bearer token is needed"},
                   "WWW-Authenticate: Bearer realm=\"detection-api\"\r\n"};
  }
  const bool bearer = text.size() > kBearer.size() && equal_ignoring_case(text.substr(0, kBearer.size()), kBearer);
  auto principal = bearer ? state_.rooms.tokens.verify(text.substr(kBearer.size()), system_now())
                          : fail(ErrorCode::kUnauthorized, "Authorization must be Bearer and a token");
  if (!principal) {
    state_.metrics.authentication(Authentication::kInvalid);
    auto line = "WWW-Authenticate: Bearer realm=\"detection-api\", error=\"invalid_token\", error_description=" +
                quoted_string(principal.error().detail) + "\r\n";
    return Refusal{std::move(principal.error()), std::move(line)};
  }
  if (!(*principal)->scopes.has(scope)) {
    state_.metrics.authentication(Authentication::kInsufficientScope);
    const std::string name(security::scope_name(scope));
    return Refusal{
        {ErrorCode::kInsufficientScope, "the token lacks the scope " + name},
        "WWW-Authenticate: Bearer realm=\"detection-api\", error=\"insufficient_scope\", scope=\"" + name + "\"\r\n"};
  }
  state_.metrics.authentication(Authentication::kSuccess);
  x.notes.principal = std::move(*principal);
  return std::nullopt;
}

std::optional<Refusal> Api::negotiate(Exchange& x, Route route) {
  const bool posts = x.head.method == Method::kPost;
  if (posts) {
    const bool json = is_media_type(x.head.content_type, kJson);
    const bool lines = route == Route::kBatch && is_media_type(x.head.content_type, kNdjson);
    if (!json && !lines)
      return Refusal{{ErrorCode::kUnsupportedMediaType,
                      route == Route::kBatch ? "Content-Type must be application/json or application/x-ndjson, in UTF-8"
                                             : "Content-Type must be application/json, in UTF-8"}};
    if (!x.head.content_encoding.empty() && !equal_ignoring_case(x.head.content_encoding, "identity"))
      return Refusal{{ErrorCode::kUnsupportedMediaType, "Content-Encoding is not supported"}};
    x.notes.other_form = lines;
  }
  static constexpr std::array<std::string_view, 2> kJsonOrXml{kJson, kXml}, kJsonOrGeo{kJson, kGeoJson},
      kXmls{kXml, "text/xml"}, kHtmlOrJson{kHtml, kJson};
  static constexpr std::array<std::string_view, 1> kOnlyJson{kJson};
  std::span<const std::string_view> offers;
  switch (route) {
    case Route::kDetections: offers = posts ? kJsonOrXml : kJsonOrGeo; break;
    case Route::kDetection: offers = kJsonOrXml; break;
    case Route::kDetectionCot: offers = kXmls; break;
    case Route::kBatch:
    case Route::kDetectionAudit:
    case Route::kDelivery: offers = kOnlyJson; break;
    case Route::kProblem: offers = kHtmlOrJson; break;
    case Route::kHealth:
    case Route::kReady:
    case Route::kMetrics:
    case Route::kOpenApi: return std::nullopt;  // one form, for whoever asks
  }
  const auto choice = choose_media_type(x.head.accept, offers);
  if (!choice && route != Route::kProblem) {
    std::string detail = "this path can give";
    for (const auto offer : offers) detail.append(" ").append(offer);
    return Refusal{{ErrorCode::kNotAcceptable, std::move(detail)}};
  }
  const bool second = choice.value_or(1) == 1;
  if (route == Route::kDetectionCot) return std::nullopt;
  if (offers.size() == 2 && offers[1] == kXml) x.notes.wants_xml = second;
  // A problem is read by people only where they ask for HTML.
  if (offers.size() == 2 && offers[1] != kXml)
    x.notes.other_form = route == Route::kProblem ? !second && x.head.has_accept : second;
  return std::nullopt;
}

void Api::request(Exchange& x) {
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
    case Route::kDelivery: return get_delivery(x);
    case Route::kHealth: return get_health(x);
    case Route::kReady: return get_ready(x);
    case Route::kMetrics: return get_metrics(x);
    case Route::kOpenApi: return get_open_api(x);
    case Route::kProblem: return get_problem(x, match->parameter);
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
             {"duration_ms", std::chrono::duration<double, std::milli>(took).count()}});
}

}  // namespace detection::http
