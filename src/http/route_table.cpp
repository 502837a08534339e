#include "http/route_table.hpp"

namespace detection::http {

const std::array<RouteSpec, kRoutes>& route_table() noexcept {
  using enum security::Scope;
  using enum Method;
  using Methods = std::array<std::optional<MethodSpec>, 2>;
  static constexpr std::string_view kRead = "GET, HEAD";
  static constexpr auto reads = [](std::optional<security::Scope> scope) -> Methods {
    return {MethodSpec{kGet, scope}, std::nullopt};
  };
  static constexpr auto posts = [](std::optional<security::Scope> scope) -> Methods {
    return {MethodSpec{kPost, scope}, std::nullopt};
  };
  static constexpr std::array<RouteSpec, kRoutes> kTable{{
      {"/api/v1/detections",
       "GET, HEAD, POST",
       {MethodSpec{kGet, kDetectionsRead}, MethodSpec{kPost, kDetectionsWrite}}},
      {"/api/v1/detections/batch", "POST", posts(kDetectionsWrite)},
      {"/api/v1/detections/{id}", kRead, reads(kDetectionsRead)},
      {"/api/v1/detections/{id}/cot", kRead, reads(kDetectionsRead)},
      {"/api/v1/detections/{id}/audit", kRead, reads(kAuditRead)},
      {"/api/v1/detections/{id}/verify", "PUT", {MethodSpec{kPut, kDetectionsVerify}, std::nullopt}},
      {"/api/v1/events", kRead, reads(kDetectionsRead)},
      {"/api/v1/delivery", kRead, reads(kAuditRead)},
      {"/api/v1/delivery/{sink}/retry", "POST", posts(kAdmin)},
      {"/api/v1/delivery/{sink}/dead-letters", kRead, reads(kAuditRead)},
      {"/api/v1/audit", kRead, reads(kAuditRead)},
      {"/api/v1/audit/verify", kRead, reads(kAuditRead)},
      {"/api/v1/auth/token", "POST", posts({})},
      {"/api/v1/auth/revoke", "POST", posts(kAdmin)},
      {"/api/v1/api-keys", "GET, HEAD, POST", {MethodSpec{kGet, kAdmin}, MethodSpec{kPost, kAdmin}}},
      {"/api/v1/api-keys/{id}", "GET, HEAD, DELETE", {MethodSpec{kGet, kAdmin}, MethodSpec{kDelete, kAdmin}}},
      {"/api/v1/api-keys/{id}/rotate", "POST", posts(kAdmin)},
      {"/.well-known/jwks.json", kRead, reads({})},
      {"/health", kRead, reads({}), true, true},
      {"/ready", kRead, reads({}), true, true},
      {"/metrics", kRead, reads({}), false, true},
      {"/openapi.json", kRead, reads({})},
      {"/docs", kRead, reads({})},
      {"/problems/{code}", kRead, reads({})},
      {"/", kRead, reads({})},
      {"/assets/{name}", kRead, reads({})},
  }};
  return kTable;
}

namespace {

/// A template holds at most one {parameter}, a whole segment of its own.
bool matches(std::string_view pattern, std::string_view path, std::string_view& parameter) noexcept {
  const auto open = pattern.find('{');
  if (open == std::string_view::npos) return path == pattern;
  const auto tail = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= open + tail.size() || !path.starts_with(pattern.substr(0, open)) || !path.ends_with(tail))
    return false;
  parameter = path.substr(open, path.size() - open - tail.size());
  return parameter.find('/') == std::string_view::npos;
}

}  // namespace

std::optional<RouteMatch> match_route(std::string_view path, Port port) noexcept {
  const auto& table = route_table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto& spec = table[i];
    std::string_view parameter;
    if ((port == Port::kApi ? spec.on_api : spec.on_metrics) && matches(spec.path, path, parameter))
      return RouteMatch{static_cast<Route>(i), parameter};
  }
  return std::nullopt;
}

}  // namespace detection::http
