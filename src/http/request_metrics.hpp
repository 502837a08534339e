#pragma once
// The metrics of http/, as handles kept in arrays: no look-up, no string per request.

#include <array>
#include <chrono>
#include <string_view>

#include "detection/flag.hpp"
#include "http/exchange.hpp"
#include "http/route_table.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

/// http_requests_total and http_request_duration_seconds. One object a thread: handles are made when first needed, so
/// that there is no series for what never happens.
class RequestMetrics {
 public:
  explicit RequestMetrics(telemetry::Metrics& metrics) : metrics_(metrics) {}
  void count(int route, Method method, unsigned status, std::chrono::steady_clock::duration took);

 private:
  static constexpr std::size_t kStatuses = 24;
  struct Series {
    std::array<telemetry::Counter, kStatuses> by_status;
    std::array<bool, kStatuses> made{};
    telemetry::Histogram duration;
    bool duration_made = false;
  };
  telemetry::Metrics& metrics_;
  std::array<std::array<Series, kMethods>, kRoutes + 1> series_{};  ///< the last row: unknown paths
};

enum class Processed : std::uint8_t { kAccepted, kRepeated, kConflict, kRejected, kError };
enum class Authentication : std::uint8_t {
  kSuccess,
  kMissing,
  kInvalid,
  kInsufficientScope,
  kInvalidClient,  ///< of the token endpoint
  kRateLimited     ///< not looked at
};
enum class RateScope : std::uint8_t { kSubject, kAddress, kToken };

/// The counters that all threads share; immutable after its making.
class SharedMetrics {
 public:
  explicit SharedMetrics(telemetry::Metrics& metrics);

  void processed(Processed status, std::optional<Flag> flag) const noexcept;
  void processing(std::chrono::steady_clock::duration took) const noexcept;
  void authentication(Authentication result) const noexcept;
  void rate_limited(RateScope scope) const noexcept;
  void refused(std::string_view reason) const noexcept;
  void in_progress(int by) const noexcept;
  [[nodiscard]] telemetry::Gauge connections() const noexcept { return connections_; }

 private:
  static constexpr std::array<std::string_view, 15> kReasons{
      "connections",  "target",         "header",       "malformed",     "body",
      "large_bodies", "header_timeout", "body_timeout", "write_timeout", "accept",
      "store_queue",  "worker_queue",   "slow_reader",  "tls",           "other"};
  std::array<std::array<telemetry::Counter, 4>, 5> processed_;  ///< by status and flag (last: none)
  telemetry::Histogram processing_;
  std::array<telemetry::Counter, 6> authentication_;
  std::array<telemetry::Counter, 3> rate_limited_;
  std::array<telemetry::Counter, kReasons.size()> refused_;
  telemetry::Gauge in_progress_, connections_;
};

}  // namespace detection::http
