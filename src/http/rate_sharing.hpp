#pragma once
// Limits that hold over all processes of one store: each says now and then what its callers used and hears what they
// used elsewhere, which is then taken from their buckets here. While the store is away each process limits by itself;
// what was used meanwhile is not told later.
//
// What holds, with N processes, a limit of r a second and B at once, and L seconds at most from a request's being
// allowed in one process until it is charged in the others: over any t seconds all together allow at most
//
//   r t + N B + (N - 1) r L.
//
// For at the last request allowed, in process j, its own and what it was charged make at most B + r t; what it was not
// yet charged is younger than L, and each of the others allows at most B + r L in that time. With an exchange a second
// in each process L is 2 s and what the two exchanges take. (A batch counts when it was read: up to 99 requests more
// for each process. So long as (N - 1)(B + r L) <= RateLimiter::kForeignDebtMost B no charge is cut.)

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http/rate_limit.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace detection::http {

class RateSharing {
 public:
  /// All outlive it.
  RateSharing(RateGates& gates, store::Store& store, telemetry::Log& log) : gates_(gates), store_(store), log_(log) {}
  ~RateSharing() { stop(); }
  RateSharing(const RateSharing&) = delete;
  RateSharing& operator=(const RateSharing&) = delete;

  /// Exchanges on a thread of its own.
  void start(std::chrono::milliseconds every = std::chrono::seconds{1});
  void stop();  ///< idempotent
  /// Once; `now` is read when the answer is there. One thread at a time.
  void exchange(RateLimiter::Time (*now)() noexcept = std::chrono::steady_clock::now);

 private:
  RateGates& gates_;
  store::Store& store_;
  telemetry::Log& log_;
  bool away_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

/// A caller of a limiter as it is called in the store: the limiter's name and 32 hexadecimal digits.
[[nodiscard]] std::string shared_key(const RateLimiter& limiter, const RateKey::Id& id);

}  // namespace detection::http
