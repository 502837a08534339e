#include "http/route_table.hpp"

namespace detection::http {

const std::array<RouteSpec, kRoutes>& route_table() noexcept {
  using enum security::Scope;
  static constexpr std::string_view kRead = "GET, HEAD";
  static constexpr std::array<RouteSpec, kRoutes> kTable{{
      {"/api/v1/detections", "GET, HEAD, POST", true, true, kDetectionsRead, kDetectionsWrite},
      {"/api/v1/detections/batch", "POST", false, true, {}, kDetectionsWrite},
      {"/api/v1/detections/{id}", kRead, true, false, kDetectionsRead, {}},
      {"/api/v1/detections/{id}/cot", kRead, true, false, kDetectionsRead, {}},
      {"/api/v1/detections/{id}/audit", kRead, true, false, kAuditRead, {}},
      {"/api/v1/delivery", kRead, true, false, kAuditRead, {}},
      {"/health", kRead, true, false, {}, {}, true, true},
      {"/ready", kRead, true, false, {}, {}, true, true},
      {"/metrics", kRead, true, false, {}, {}, false, true},
      {"/openapi.json", kRead, true, false, {}, {}},
      {"/problems/{code}", kRead, true, false, {}, {}},
  }};
  return kTable;
}

namespace {

std::optional<RouteMatch> match_path(std::string_view path) noexcept {
  static constexpr std::string_view kDetections = "/api/v1/detections", kProblems = "/problems/";
  if (path.starts_with(kDetections)) {
    auto rest = path.substr(kDetections.size());
    if (rest.empty()) return RouteMatch{Route::kDetections, {}};
    if (rest == "/batch") return RouteMatch{Route::kBatch, {}};
    if (rest.front() != '/') return std::nullopt;
    rest.remove_prefix(1);
    const auto slash = rest.find('/');
    const auto id = rest.substr(0, slash);
    if (id.empty()) return std::nullopt;
    if (slash == std::string_view::npos) return RouteMatch{Route::kDetection, id};
    const auto part = rest.substr(slash);
    if (part == "/cot") return RouteMatch{Route::kDetectionCot, id};
    if (part == "/audit") return RouteMatch{Route::kDetectionAudit, id};
    return std::nullopt;
  }
  if (path.starts_with(kProblems) && path.find('/', kProblems.size()) == std::string_view::npos)
    return RouteMatch{Route::kProblem, path.substr(kProblems.size())};
  for (const auto route : {Route::kHealth, Route::kReady, Route::kMetrics, Route::kOpenApi, Route::kDelivery})
    if (path == route_table()[static_cast<std::size_t>(route)].path) return RouteMatch{route, {}};
  return std::nullopt;
}

}  // namespace

std::optional<RouteMatch> match_route(std::string_view path, Port port) noexcept {
  const auto match = match_path(path);
  if (!match) return std::nullopt;
  const auto& spec = route_table()[static_cast<std::size_t>(match->route)];
  return (port == Port::kApi ? spec.on_api : spec.on_metrics) ? match : std::nullopt;
}

}  // namespace detection::http
