#pragma once
// A request as the routes see it, and an answer as they make it: no Beast here. Private to http/.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "security/token.hpp"

namespace detection::http {

/// The routes; also the `route` label of metrics, by its template.
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
  kNone
};
inline constexpr std::size_t kRouteCount = 12;
[[nodiscard]] std::string_view route_template(Route route) noexcept;

enum class Method : std::uint8_t { kGet, kHead, kPost, kOther };
inline constexpr std::size_t kMethodCount = 4;
[[nodiscard]] std::string_view method_label(Method method) noexcept;

/// Views into the connection's buffers; good until the answer is given.
struct Request {
  Method method = Method::kOther;
  Route route = Route::kNone;
  std::string path;
  std::string query;      ///< without the '?'
  std::string parameter;  ///< {id} or {code} of the route
  std::string authorization, content_type, content_encoding, accept, idempotency_key;
  std::string request_id;
  std::string body;
  UtcMicros received{};
  bool metrics_port = false;
};

struct Response {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string headers;  ///< further ones, each "Name: value\r\n"
  std::string body;
  bool close = false;
};

/// Called exactly once, on the connection's own thread.
using Respond = std::function<void(Response)>;

/// application/problem+json with what the code asks for (WWW-Authenticate, Retry-After).
[[nodiscard]] Response problem_response(const Error& error, std::string_view instance);

/// Whether an Accept header (empty: everything) admits `type`, with its q-value above 0 (RFC 9110 section 12.5.1).
[[nodiscard]] double accept_quality(std::string_view accept, std::string_view type);

/// The value of `name` in a query string, percent-decoded; nothing when it is not there. kValidationFailed for a wrong
/// escape, or when it stands there twice.
[[nodiscard]] Result<std::optional<std::string>> query_value(std::string_view query, std::string_view name);
/// The names that stand in a query.
[[nodiscard]] std::vector<std::string> query_names(std::string_view query);

}  // namespace detection::http
