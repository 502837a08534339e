#include "pipeline/queue_watch.hpp"

#include <algorithm>
#include <array>

#include "tak/enrolment.hpp"

namespace detection::pipeline {
namespace {

constexpr std::array kThresholds{0.8, 0.9};
/// So far below a threshold a queue must fall before it is warned of anew.
constexpr double kSlack = 0.05;

}  // namespace

double usage_ratio(const store::SinkQueue& queue) noexcept {
  const auto share = [](std::int64_t used, std::int64_t most) {
    return most > 0 ? static_cast<double>(used) / static_cast<double>(most) : 0.0;
  };
  return std::max(share(queue.queued, queue.limits.items), share(queue.bytes, queue.limits.bytes));
}

QueueWatch::QueueWatch(store::Store& store, std::vector<const Courier*> couriers, const store::QueueLimits& limits,
                       telemetry::Metrics& metrics, telemetry::Log& log)
    : store_(store), couriers_(std::move(couriers)), metrics_(metrics), log_(log) {
  metrics.gauge(telemetry::kOfflineQueueCapacityItems).set(static_cast<double>(limits.items));
  metrics.gauge(telemetry::kOfflineQueueCapacityBytes).set(static_cast<double>(limits.bytes));
  for (const auto* courier : couriers_) {
    const auto sink = courier->status().sink;
    sinks_.emplace(sink, Handles{metrics.gauge(telemetry::kOfflineQueueSize, {sink}),
                                 metrics.gauge(telemetry::kOfflineQueueBytes, {sink}),
                                 metrics.gauge(telemetry::kOfflineQueueUsageRatio, {sink}),
                                 metrics.gauge(telemetry::kOfflineQueueOldestItemAgeSeconds, {sink}),
                                 metrics.gauge(telemetry::kTakDeadLetters, {sink})});
  }
}

QueueWatch::~QueueWatch() {
  stop();
}

void QueueWatch::start(std::chrono::milliseconds every) {
  thread_ = std::thread([this, every] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, every, [this] { return stopping_; })) {
      lock.unlock();
      look();
      lock.lock();
    }
  });
}

void QueueWatch::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void QueueWatch::look() {
  const std::scoped_lock lock(looking_);
  for (const auto* courier : couriers_) look_at_certificate(courier->status());
  const auto queues = store_.sink_queues();
  if (!queues) return;
  const auto now = system_now();
  for (const auto& queue : *queues) {
    const auto found = sinks_.find(queue.sink);
    if (found == sinks_.end()) continue;
    auto& handles = found->second;
    const auto usage = usage_ratio(queue);
    handles.size.set(static_cast<double>(queue.queued));
    handles.bytes.set(static_cast<double>(queue.bytes));
    handles.usage.set(usage);
    handles.dead.set(static_cast<double>(queue.dead_letters));
    const auto age = queue.oldest_queued ? std::max<std::int64_t>(0, (now - *queue.oldest_queued).count()) : 0;
    handles.age.set(static_cast<double>(age) / 1e6);
    warn(queue, usage, handles);
  }
}

void QueueWatch::look_at_certificate(const CourierStatus& courier) {
  const auto& expires = courier.connection.certificate_expires;
  if (!expires) return;
  // Only where there is one: an alert on 0 would be false.
  metrics_.gauge(telemetry::kTakCertificateExpiryTimestampSeconds, {courier.sink})
      .set(static_cast<double>(expires->count) / 1e6);
  auto& warned = sinks_.at(courier.sink).renewal_warned;
  const auto now = system_now();
  if (!tak::renewal_due(*expires, now) || now - warned < std::chrono::hours{24}) return;
  warned = now;
  log_.warning("certificate_expiring",
               "our certificate for a TAK server ends soon: renew it (detection-api tak enroll), or it will refuse us",
               {{"sink", courier.sink}, {"expires", format_rfc3339_ms(*expires)}});
}

void QueueWatch::warn(const store::SinkQueue& queue, double usage, Handles& handles) {
  int over = 0;
  for (const double threshold : kThresholds) over += usage >= threshold ? 1 : 0;
  if (over > handles.warned) {
    log_.warning("queue_filling",
                 "a sink's queue is over " + std::to_string(over == 1 ? 80 : 90) +
                     " % of its limit; at the limit detections are refused with 507",
                 {{"sink", queue.sink},
                  {"queued", queue.queued},
                  {"limit_items", queue.limits.items},
                  {"bytes", queue.bytes},
                  {"limit_bytes", queue.limits.bytes}});
    handles.warned = over;
  } else {
    while (handles.warned > over && usage < kThresholds.at(static_cast<std::size_t>(handles.warned - 1)) - kSlack)
      --handles.warned;
  }
}

}  // namespace detection::pipeline
