#pragma once
// How fast a sink is served: the cap on it, and what it came to. Time is handed in, so that tests need no clock.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace detection::pipeline {

using SteadyTime = std::chrono::steady_clock::time_point;

/// So many events a second on the average, at most those of one second at once (at least one). Not thread-safe.
class TokenBucket {
 public:
  /// None: no cap. Else over 0.
  explicit TokenBucket(std::optional<double> per_s)
      : capped_(per_s.has_value()), per_s_(per_s.value_or(1)), most_(std::max(1.0, per_s_)), tokens_(most_) {}

  [[nodiscard]] bool capped() const noexcept { return capped_; }

  /// How many may go now. None until it is worth a batch of its own: a tenth of a second's, at least one event, so that
  /// a capped sink is not sent a ping behind every single event.
  [[nodiscard]] std::size_t available(SteadyTime now) {
    if (!capped_) return SIZE_MAX;
    refill(now);
    return tokens_ + kRounding < worth_it() ? 0 : static_cast<std::size_t>(tokens_ + kRounding);
  }
  void take(std::size_t events) {
    if (capped_) tokens_ -= static_cast<double>(events);
  }
  /// When available() is over 0 again.
  [[nodiscard]] SteadyTime next(SteadyTime now) {
    if (!capped_) return now;
    refill(now);
    const double missing = worth_it() - tokens_;
    if (missing <= 0) return now;
    return now +
           std::chrono::ceil<std::chrono::steady_clock::duration>(std::chrono::duration<double>(missing / per_s_));
  }

 private:
  static constexpr double kRounding = 1e-9;
  [[nodiscard]] double worth_it() const noexcept { return std::max(1.0, std::floor(per_s_ / 10)); }
  void refill(SteadyTime now) {
    if (begun_ && now <= filled_) return;
    if (begun_) tokens_ = std::min(most_, tokens_ + per_s_ * std::chrono::duration<double>(now - filled_).count());
    begun_ = true;
    filled_ = now;
  }

  bool capped_;
  double per_s_;
  double most_;
  double tokens_;
  bool begun_ = false;
  SteadyTime filled_{};
};

/// How many a second over the last minute, or since it was made where that is less. Not thread-safe.
class RateMeter {
 public:
  explicit RateMeter(SteadyTime now) : begun_(now) {}

  void add(std::size_t events, SteadyTime now) {
    auto& slot = slots_[static_cast<std::size_t>(second(now)) % slots_.size()];
    if (slot.second != second(now)) slot = {second(now), 0};
    slot.events += events;
  }
  [[nodiscard]] double per_second(SteadyTime now) const {
    const auto oldest = second(now) - static_cast<std::int64_t>(slots_.size()) + 1;
    std::uint64_t sum = 0;
    for (const auto& slot : slots_)
      if (slot.second >= oldest && slot.second <= second(now)) sum += slot.events;
    const double most = static_cast<double>(slots_.size());
    return static_cast<double>(sum) / std::clamp(std::chrono::duration<double>(now - begun_).count(), 1.0, most);
  }

 private:
  struct Slot {
    std::int64_t second = -1;
    std::uint64_t events = 0;
  };
  [[nodiscard]] std::int64_t second(SteadyTime now) const {
    return std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(now - begun_).count());
  }
  SteadyTime begun_;
  std::array<Slot, 60> slots_{};
};

}  // namespace detection::pipeline
