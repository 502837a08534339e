#pragma once
// Every route of the service, once. openapi/openapi.json describes exactly these (a test holds one against the other).

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/exchange.hpp"
#include "http/server.hpp"
#include "security/token.hpp"

namespace detection::http {

enum class Route : std::uint8_t {
  kDetections,
  kBatch,
  kDetection,
  kDetectionCot,
  kDetectionAudit,
  kDelivery,
  kHealth,
  kReady,
  kMetrics,
  kOpenApi,
  kProblem,
};
inline constexpr std::size_t kRoutes = 11;

struct RouteSpec {
  std::string_view path;   ///< the template, also the label of metrics
  std::string_view allow;  ///< as in the Allow header
  bool get = false, post = false;
  std::optional<security::Scope> get_scope{}, post_scope{};
  bool on_api = true, on_metrics = false;
};
[[nodiscard]] const std::array<RouteSpec, kRoutes>& route_table() noexcept;

struct RouteMatch {
  Route route;
  std::string_view parameter;  ///< {id} or {code}
};
/// None: 404.
[[nodiscard]] std::optional<RouteMatch> match_route(std::string_view path, Port port) noexcept;

}  // namespace detection::http
