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
  kDetectionVerify,
  kEvents,
  kDelivery,
  kDeliveryRetry,
  kDeadLetters,
  kAudit,
  kAuditVerify,
  kAuthToken,
  kAuthRevoke,
  kApiKeys,
  kApiKey,
  kApiKeyRotate,
  kJwks,
  kHealth,
  kReady,
  kMetrics,
  kOpenApi,
  kDocs,
  kProblem,
  kConsole,
  kConsoleAsset,
};
inline constexpr std::size_t kRoutes = 26;

/// One method of a route and who may call it. GET is also HEAD.
struct MethodSpec {
  Method method;
  std::optional<security::Scope> scope{};  ///< none: anybody
};

struct RouteSpec {
  std::string_view path;   ///< the template, also the label of metrics
  std::string_view allow;  ///< as in the Allow header
  std::array<std::optional<MethodSpec>, 2> methods{};
  bool on_api = true, on_metrics = false;

  /// What this route says to a method; none: 405.
  [[nodiscard]] const MethodSpec* find(Method method) const noexcept {
    if (method == Method::kHead) method = Method::kGet;
    for (const auto& spec : methods)
      if (spec && spec->method == method) return &*spec;
    return nullptr;
  }
};
[[nodiscard]] const std::array<RouteSpec, kRoutes>& route_table() noexcept;

struct RouteMatch {
  Route route;
  std::string_view parameter;  ///< {id}, {sink}, {code} or {name}, as it stood in the path
};
/// None: 404.
[[nodiscard]] std::optional<RouteMatch> match_route(std::string_view path, Port port) noexcept;

}  // namespace detection::http
