#include "app/release_watch.hpp"

namespace detection::app {

ReleaseWatch::ReleaseWatch(store::Store& store, std::string_view slot, std::function<void()> changed,
                           telemetry::Metrics& metrics, telemetry::Log& log)
    : store_(store),
      changed_(std::move(changed)),
      active_(metrics.gauge(telemetry::kReleaseSlotActive, {slot})),
      log_(log) {}

void ReleaseWatch::start(std::chrono::milliseconds every) {
  look(true);
  thread_ = std::thread([this, every] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, every, [this] { return stopping_; })) {
      lock.unlock();
      look(false);
      lock.lock();
    }
  });
}

void ReleaseWatch::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ReleaseWatch::look(bool first) {
  const auto release = store_.status().release;
  const bool same = release.delivers == delivers_;
  delivers_ = release.delivers;
  active_.set(delivers_ ? 1 : 0);
  if (same && !first) return;
  if (!release.slot.empty())
    log_.info(delivers_ ? "release_delivers" : "release_waits",
              delivers_ ? "this process delivers" : "this process is ready and delivers nothing",
              {{"slot", release.slot}, {"reason", store::release_words(release)}});
  if (!first) changed_();
}

}  // namespace detection::app
