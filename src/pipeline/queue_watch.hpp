#pragma once
// Publishes how full the queues are and how long the certificates are good: metrics at each scrape and, on a thread of
// its own, warnings in the log when a queue passes 80 % and 90 % of its limit, and daily from when a certificate is due
// for renewal. The cost does not grow with what waits.

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/courier.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::pipeline {

/// Share of its limits that a queue uses, of the scarcer of items and bytes; 0 without a limit.
[[nodiscard]] double usage_ratio(const store::SinkQueue& queue) noexcept;

class QueueWatch {
 public:
  /// `couriers` and the rest must outlive it. `limits`: those of sinks without their own.
  QueueWatch(store::Store& store, std::vector<const Courier*> couriers, const store::QueueLimits& limits,
             telemetry::Metrics& metrics, telemetry::Log& log);
  ~QueueWatch();

  void start(std::chrono::milliseconds every = std::chrono::seconds{5});
  void stop();  ///< idempotent

  /// One look: sets the metrics, warns of what has passed a threshold since the last one. Any thread.
  void look();

 private:
  struct Handles {
    telemetry::Gauge size, bytes, usage, age, dead;
    UtcMicros renewal_warned{};
    int warned = 0;  ///< thresholds that the queue was over at the last look
  };
  void look_at_certificate(const CourierStatus& courier);
  void warn(const store::SinkQueue& queue, double usage, Handles& handles);

  store::Store& store_;
  const std::vector<const Courier*> couriers_;
  telemetry::Metrics& metrics_;
  telemetry::Log& log_;
  std::mutex looking_;
  std::map<std::string, Handles, std::less<>> sinks_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace detection::pipeline
