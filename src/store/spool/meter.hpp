#pragma once
// The spool's metrics. The age is that of the moment of the scrape.

#include <atomic>
#include <memory>

#include "detection/time.hpp"
#include "store/spool/spool_file.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::spool {

struct Meter {
  telemetry::Gauge items, bytes, conflicts, age_s;
  std::atomic<std::int64_t> oldest{0};  ///< when it was received; 0: there is none

  void set(const Totals& totals) noexcept {
    items.set(static_cast<double>(totals.items));
    bytes.set(static_cast<double>(totals.bytes));
    conflicts.set(static_cast<double>(totals.conflicts));
    oldest.store(totals.oldest ? totals.oldest->count : 0, std::memory_order_relaxed);
  }
};

/// `metrics` may be null. It may outlive the spool: what it holds on to is the meter alone.
[[nodiscard]] inline std::shared_ptr<Meter> make_meter(telemetry::Metrics* metrics, std::int64_t capacity_items,
                                                       Clock clock) {
  auto meter = std::make_shared<Meter>();
  if (metrics == nullptr) return meter;
  meter->items = metrics->gauge(telemetry::kSpoolSize);
  meter->bytes = metrics->gauge(telemetry::kSpoolBytes);
  meter->conflicts = metrics->gauge(telemetry::kSpoolConflicts);
  meter->age_s = metrics->gauge(telemetry::kSpoolOldestItemAgeSeconds);
  metrics->gauge(telemetry::kSpoolCapacityItems).set(static_cast<double>(capacity_items));
  metrics->before_scrape([meter, clock] {
    const auto oldest = meter->oldest.load(std::memory_order_relaxed);
    meter->age_s.set(oldest == 0 ? 0
                                 : std::max(0.0, std::chrono::duration<double>(clock() - UtcMicros{oldest}).count()));
  });
  return meter;
}

}  // namespace detection::store::spool
