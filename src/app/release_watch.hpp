#pragma once
// Follows whether this process delivers (the release fence): keeps `release_slot_active` and the log current, and wakes
// who waits for it.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {

class ReleaseWatch {
 public:
  /// All outlive it. `slot`: the name that the metric has. `changed` is called on its thread after each change.
  ReleaseWatch(store::Store& store, std::string_view slot, std::function<void()> changed, telemetry::Metrics& metrics,
               telemetry::Log& log);
  ~ReleaseWatch() { stop(); }
  ReleaseWatch(const ReleaseWatch&) = delete;
  ReleaseWatch& operator=(const ReleaseWatch&) = delete;

  /// Looks once, then every `every` on a thread of its own.
  void start(std::chrono::milliseconds every = std::chrono::milliseconds{100});
  void stop();  ///< idempotent

 private:
  void look(bool first);

  store::Store& store_;
  const std::function<void()> changed_;
  telemetry::Gauge active_;
  telemetry::Log& log_;
  bool delivers_ = false;  ///< at the last look

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace detection::app
