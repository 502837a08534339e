#include "app/backup_watch.hpp"

namespace detection::app {
namespace {

constexpr double kMicrosPerSecond = 1e6;

}  // namespace

void BackupWatch::start(std::chrono::milliseconds every) {
  thread_ = std::thread([this, every] {
    std::unique_lock lock(mutex_);
    do {
      lock.unlock();
      look();
      lock.lock();
    } while (!wake_.wait_for(lock, every, [this] { return stopping_; }));
  });
}

void BackupWatch::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BackupWatch::look() {
  // A store that is away has alerts of its own; what was known stays.
  const auto times = recorded_times(place_);
  if (!times) return;
  if (times->made)
    metrics_.gauge(telemetry::kBackupLastSuccessTimestampSeconds)
        .set(static_cast<double>(times->made->count) / kMicrosPerSecond);
  if (times->verified)
    metrics_.gauge(telemetry::kBackupLastVerifiedTimestampSeconds)
        .set(static_cast<double>(times->verified->count) / kMicrosPerSecond);
}

}  // namespace detection::app
