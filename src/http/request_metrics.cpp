#include "http/request_metrics.hpp"

#include <algorithm>
#include <string>

namespace detection::http {
namespace {

/// The service's own statuses; the last place is for none of them.
constexpr std::array<unsigned, 23> kKnown{200, 201, 400, 401, 403, 404, 405, 406, 408, 409, 413, 414,
                                          415, 422, 429, 431, 500, 503, 507, 202, 204, 206, 304};

std::size_t place_of(unsigned status) noexcept {
  return static_cast<std::size_t>(std::ranges::find(kKnown, status) - kKnown.begin());
}

double seconds(std::chrono::steady_clock::duration took) noexcept {
  return std::chrono::duration<double>(took).count();
}

}  // namespace

void RequestMetrics::count(int route, Method method, unsigned status, std::chrono::steady_clock::duration took) {
  const auto row = route < 0 ? kRoutes : static_cast<std::size_t>(route);
  const auto name = row == kRoutes ? std::string_view("none") : route_table()[row].path;
  auto& series = series_[row][static_cast<std::size_t>(method)];
  const auto place = place_of(status);
  if (!series.made[place]) {
    series.by_status[place] =
        metrics_.counter(telemetry::kHttpRequestsTotal, {method_name(method), name, std::to_string(status)});
    series.made[place] = true;
  }
  series.by_status[place].increment();
  if (!series.duration_made) {
    series.duration = metrics_.histogram(telemetry::kHttpRequestDurationSeconds, {method_name(method), name});
    series.duration_made = true;
  }
  series.duration.observe(seconds(took));
}

SharedMetrics::SharedMetrics(telemetry::Metrics& metrics)
    : processing_(metrics.histogram(telemetry::kDetectionProcessingDurationSeconds)),
      in_progress_(metrics.gauge(telemetry::kHttpRequestsInProgress)),
      connections_(metrics.gauge(telemetry::kHttpConnections)) {
  static constexpr std::array<std::string_view, 5> kStatuses{"accepted", "repeated", "conflict", "rejected", "error"};
  static constexpr std::array<std::string_view, 4> kFlags{"GREEN", "YELLOW", "RED", "none"};
  static constexpr std::array<std::string_view, 6> kResults{
      "success", "missing", "invalid", "insufficient_scope", "invalid_client", "rate_limited"};
  static constexpr std::array<std::string_view, 3> kScopes{"subject", "address", "token"};
  for (std::size_t i = 0; i < kStatuses.size(); ++i)
    for (std::size_t j = 0; j < kFlags.size(); ++j)
      // Where a flag is known it is given, where not it is not: the other combinations never happen.
      if ((i <= 2) == (j <= 2))
        processed_[i][j] = metrics.counter(telemetry::kDetectionsProcessedTotal, {kStatuses[i], kFlags[j]});
  for (std::size_t i = 0; i < kResults.size(); ++i)
    authentication_[i] = metrics.counter(telemetry::kAuthAttemptsTotal, {kResults[i]});
  for (std::size_t i = 0; i < kScopes.size(); ++i)
    rate_limited_[i] = metrics.counter(telemetry::kRateLimitHitsTotal, {kScopes[i]});
  for (std::size_t i = 0; i < kReasons.size(); ++i)
    refused_[i] = metrics.counter(telemetry::kHttpRefusedTotal, {kReasons[i]});
}

void SharedMetrics::processed(Processed status, std::optional<Flag> flag) const noexcept {
  auto counter = processed_[static_cast<std::size_t>(status)][flag ? static_cast<std::size_t>(*flag) : 3];
  counter.increment();
}

void SharedMetrics::processing(std::chrono::steady_clock::duration took) const noexcept {
  telemetry::Histogram(processing_).observe(seconds(took));
}

void SharedMetrics::authentication(Authentication result) const noexcept {
  telemetry::Counter(authentication_[static_cast<std::size_t>(result)]).increment();
}

void SharedMetrics::rate_limited(RateScope scope) const noexcept {
  telemetry::Counter(rate_limited_[static_cast<std::size_t>(scope)]).increment();
}

void SharedMetrics::refused(std::string_view reason) const noexcept {
  const auto found = std::ranges::find(kReasons, reason);
  const auto place = found == kReasons.end() ? kReasons.size() - 1 : static_cast<std::size_t>(found - kReasons.begin());
  telemetry::Counter(refused_[place]).increment();
}

void SharedMetrics::in_progress(int by) const noexcept {
  telemetry::Gauge(in_progress_).add(by);
}

}  // namespace detection::http
