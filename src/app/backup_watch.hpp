#pragma once
// Brings what backups have written into the store to the metrics of a running service: they are other processes, and
// with several replicas on other hosts.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "store/backup/times.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {

class BackupWatch {
 public:
  /// `metrics` outlives it.
  BackupWatch(store::backup::Place place, telemetry::Metrics& metrics) : place_(std::move(place)), metrics_(metrics) {}
  ~BackupWatch() { stop(); }
  BackupWatch(const BackupWatch&) = delete;
  BackupWatch& operator=(const BackupWatch&) = delete;

  /// Looks at once and then every `every`, on a thread of its own.
  void start(std::chrono::milliseconds every = std::chrono::seconds{15});
  void stop();  ///< idempotent
  /// A gauge stays 0 until a time is known: there never was one.
  void look();

 private:
  const store::backup::Place place_;
  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace detection::app
