// Who may go on: rate limits, authentication, scopes. All of it before the body is read.
//
// A request that needs a scope: its credential is checked, then its subject's bucket is charged. Whatever fails before
// there is a subject costs its address's bucket: 401 until that is empty, then 429. An address that has spent its
// budget is still served with a credential that was good before (KnownCredentials: two loads); an unknown one is only
// looked at as far as RateGates::reserve goes, and is answered 429 where it is bad.

#include "http/api.hpp"
#include "http/media.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kBearer = "Bearer ", kApiKeyPrefix = "dsk_";
constexpr std::string_view kChallenge = "WWW-Authenticate: Bearer realm=\"detection-api\"";
constexpr std::size_t kItemsOfOneRequest = 100;

/// Text of ours or of the token's check as a quoted-string.
std::string quoted_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) out.push_back(c == '"' || c == '\\' || c < 0x20 || c > 0x7e ? '\'' : c);
  return out + "\"";
}

Refusal bad_credential(Error error, std::string_view code) {
  std::string line(kChallenge);
  line.append(", error=\"").append(code).append("\", error_description=").append(quoted_string(error.detail));
  return {std::move(error), line + "\r\n"};
}

/// What stands in Authorization or X-API-Key.
std::expected<std::string_view, Refusal> credential_of(const RequestHead& head) {
  const auto text = head.authorization;
  if (!head.api_key.empty()) {
    if (!text.empty())
      return std::unexpected(bad_credential({ErrorCode::kMalformedRequest, "give Authorization or X-API-Key, not both"},
                                            "invalid_request"));
    if (!head.api_key.starts_with(kApiKeyPrefix))
      return std::unexpected(
          bad_credential({ErrorCode::kUnauthorized, "X-API-Key must be an API key (dsk_...)"}, "invalid_token"));
    return head.api_key;
  }
  if (text.size() > kBearer.size() && equal_ignoring_case(text.substr(0, kBearer.size()), kBearer))
    return text.substr(kBearer.size());
  return std::unexpected(
      bad_credential({ErrorCode::kUnauthorized, "Authorization must be Bearer and a token"}, "invalid_token"));
}

Authentication metric_of(AuthFailure reason) {
  switch (reason) {
    case AuthFailure::kMissing: return Authentication::kMissing;
    case AuthFailure::kInvalid: return Authentication::kInvalid;
    case AuthFailure::kInsufficientScope: return Authentication::kInsufficientScope;
    case AuthFailure::kClient: return Authentication::kInvalidClient;
    case AuthFailure::kRateLimited: return Authentication::kRateLimited;
  }
  return Authentication::kInvalid;
}

}  // namespace

ClientAddress Api::client_of(const Exchange& x) const {
  return client_address(x.peer, x.head.forwarded_for, state_.options.trusted_proxies);
}

std::optional<Refusal> Api::admit(Exchange& x, Route route, const MethodSpec& method) {
  if (method.scope) return authenticate(x, *method.scope);
  // The console's files lie ready in memory, and one view of it is several of them.
  const bool console = route == Route::kConsole || route == Route::kConsoleAsset;
  const bool free = port_ == Port::kMetrics || route == Route::kHealth || route == Route::kReady || console;
  if (free || !state_.gates.enabled) return std::nullopt;
  return admit_anybody(x, route);
}

std::optional<Refusal> Api::admit_anybody(Exchange& x, Route route) {
  const bool token = route == Route::kAuthToken;
  auto& limiter = token ? state_.gates.token : state_.gates.address;
  const auto verdict = limiter.take(limiter.key(network_of(client_of(x)).bytes()), std::chrono::steady_clock::now());
  if (!verdict.allowed) return limited(x, limiter, verdict, token ? RateScope::kToken : RateScope::kAddress);
  limiter.append_headers(x.notes.headers, verdict);
  return std::nullopt;
}

std::optional<Refusal> Api::authenticate(Exchange& x, security::Scope scope) {
  if (x.head.authorization.empty() && x.head.api_key.empty())
    return unauthenticated(
        x, AuthFailure::kMissing,
        {{ErrorCode::kUnauthorized, "a bearer token or an API key is needed"}, std::string(kChallenge) + "\r\n"});
  auto credential = credential_of(x.head);
  if (!credential) return unauthenticated(x, AuthFailure::kInvalid, std::move(credential.error()));
  const bool limits = state_.gates.enabled;
  const auto now = limits ? std::chrono::steady_clock::now() : Time{};
  const bool known = limits && state_.known.contains(*credential);
  if (limits && !known)
    if (auto refusal = admit_unknown(x, now)) return refusal;
  auto principal = state_.rooms.authority.authenticate(*credential, system_now());
  if (!principal) {
    if (known) state_.known.forget(*credential);
    return unauthenticated(x, AuthFailure::kInvalid, bad_credential(std::move(principal.error()), "invalid_token"));
  }
  if (limits && !known) state_.known.learn(*credential);
  x.notes.principal = std::move(*principal);
  return admit_subject(x, scope, now);
}

std::optional<Refusal> Api::admit_unknown(Exchange& x, Time now) {
  auto& gates = state_.gates;
  const auto client = client_of(x);
  const auto verdict = gates.address.peek(gates.address.key(network_of(client).bytes()), now);
  if (verdict.allowed || gates.reserve.take({.place = 1}, now).allowed) return std::nullopt;
  state_.metrics.authentication(Authentication::kRateLimited);
  state_.auth_watch.failed(client, AuthFailure::kRateLimited);
  return limited(x, gates.address, verdict, RateScope::kAddress);
}

std::optional<Refusal> Api::admit_subject(Exchange& x, security::Scope scope, Time now) {
  const auto& principal = *x.notes.principal;
  if (auto& limiter = state_.gates.subject; state_.gates.enabled) {
    const auto verdict = limiter.take(limiter.key(principal.subject), now);
    if (!verdict.allowed) return limited(x, limiter, verdict, RateScope::kSubject);
    limiter.append_headers(x.notes.headers, verdict);
  }
  if (principal.scopes.has(scope)) {
    state_.metrics.authentication(Authentication::kSuccess);
    return std::nullopt;
  }
  state_.metrics.authentication(Authentication::kInsufficientScope);
  state_.auth_watch.failed(client_of(x), AuthFailure::kInsufficientScope);
  const std::string name(security::scope_name(scope));
  return Refusal{{ErrorCode::kInsufficientScope, "the token lacks the scope " + name},
                 std::string(kChallenge) + ", error=\"insufficient_scope\", scope=\"" + name + "\"\r\n",
                 "\"scope\":\"" + name + "\""};
}

Refusal Api::unauthenticated(Exchange& x, AuthFailure reason, Refusal refusal) {
  const auto client = client_of(x);
  state_.metrics.authentication(metric_of(reason));
  state_.auth_watch.failed(client, reason);
  auto& limiter = state_.gates.address;
  if (!state_.gates.enabled) return refusal;
  const auto verdict = limiter.take(limiter.key(network_of(client).bytes()), std::chrono::steady_clock::now());
  if (!verdict.allowed) return limited(x, limiter, verdict, RateScope::kAddress);
  limiter.append_headers(x.notes.headers, verdict);
  return refusal;
}

Refusal Api::limited(Exchange& x, RateLimiter& limiter, const RateVerdict& verdict, RateScope scope) {
  state_.metrics.rate_limited(scope);
  limiter.append_headers(x.notes.headers, verdict);
  const auto wait = std::to_string(std::max<std::int64_t>(1, verdict.wait_s));
  return {{ErrorCode::kRateLimited, "too many requests; the next one is allowed in " + wait + " s"},
          "Retry-After: " + wait + "\r\n"};
}

void Api::charge_batch(const Exchange& x, std::size_t items) {
  if (!state_.gates.enabled || items <= kItemsOfOneRequest) return;
  auto& limiter = state_.gates.subject;
  // One was taken when the request came.
  const auto more = (items - 1) / kItemsOfOneRequest;
  limiter.charge(limiter.key(x.notes.principal->subject), static_cast<std::int64_t>(more),
                 std::chrono::steady_clock::now());
}

}  // namespace detection::http
