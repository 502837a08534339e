#pragma once
// An HTTP/1.1 load client over loopback: one thread, epoll, N kept-alive connections, requests made beforehand.
// Closed loop: each connection sends its next request when it has its answer. Open loop (`rate_per_s` > 0): requests
// are due at fixed times, whatever the answers do, and a latency counts from when its request was due, so that a stall
// is not hidden by the requests that it kept from being sent.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace detection::bench {

struct LoadOptions {
  std::uint16_t port = 0;
  std::size_t connections = 64;
  std::chrono::milliseconds warm_up{300};  ///< not counted
  std::chrono::milliseconds duration{2'000};
  double rate_per_s = 0;              ///< 0: closed loop
  std::vector<std::string> requests;  ///< whole HTTP requests, sent in turn
};

struct LoadResult {
  std::uint64_t answers = 0;  ///< within the duration, with a status under 400
  std::uint64_t errors = 0;   ///< answers from 400 on
  int first_error_status = 0;
  std::string first_error_body;
  std::uint64_t broken = 0;  ///< connections that ended or talked no HTTP
  double seconds = 0;
  double per_second = 0;
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
  double typical_second_p99_ms =
      0;  ///< the median of the p99 of each whole second: a stall now and then does not move it
};

[[nodiscard]] std::string http_request(std::string_view method, std::string_view target, std::string_view token = {},
                                       std::string_view body = {}, std::string_view content_type = "application/json");

/// Throws std::runtime_error when it cannot connect.
[[nodiscard]] LoadResult run_load(const LoadOptions& options);

}  // namespace detection::bench
