#pragma once
// A store that may be away for long: when to ask it again, and when that is worth a line in the log. Time is handed in,
// so that tests need no clock.

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace detection::pipeline {

/// Not thread-safe.
class Patience {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kFirst{250}, kMost{2'000};
  static constexpr std::chrono::minutes kSayAgain{1};

  /// It failed. Whether to say so: the first time, then once a minute.
  [[nodiscard]] bool failed(Time now) noexcept {
    const bool first = !away_;
    step_ = first ? kFirst : std::min(step_ * 2, kMost);
    again_ = now + step_;
    away_ = true;
    if (!first && now - said_ < kSayAgain) return false;
    said_ = now;
    return true;
  }
  /// It answered. Whether that is news.
  [[nodiscard]] bool worked() noexcept {
    const bool news = away_;
    away_ = false;
    again_ = {};
    return news;
  }
  /// Not to be asked before.
  [[nodiscard]] Time again() const noexcept { return again_; }

 private:
  bool away_ = false;
  std::chrono::milliseconds step_{kFirst};
  Time again_{}, said_{};
};

}  // namespace detection::pipeline
