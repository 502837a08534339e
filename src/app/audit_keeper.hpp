#pragma once
// Looks after the audit behind the running service: checks every chain after the start and once a day, and takes away
// what is older than the retention, where there is one.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {

class AuditKeeper {
 public:
  /// `retention`: none keeps everything.
  AuditKeeper(store::Store& store, std::optional<std::chrono::milliseconds> retention, telemetry::Metrics& metrics,
              telemetry::Log& log);
  ~AuditKeeper() { stop(); }
  AuditKeeper(const AuditKeeper&) = delete;
  AuditKeeper& operator=(const AuditKeeper&) = delete;

  /// Before start(): this goes into the audit as soon as the store takes it.
  void record_when_it_can(store::AuditEntry entry) { late_ = std::move(entry); }
  void start();
  /// A check that runs ends when the store is closed: close it first.
  void stop();

 private:
  void run();
  [[nodiscard]] bool record_late();
  void check();
  void prune();
  [[nodiscard]] bool sleep(std::chrono::milliseconds time);

  store::Store& store_;
  const std::optional<std::chrono::milliseconds> retention_;
  std::optional<store::AuditEntry> late_;
  telemetry::Gauge valid_;
  telemetry::Log& log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace detection::app
