#pragma once
// How a long work is done: whom it tells how far it is, and how much of its time it leaves to those that serve beside
// it.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace detection::store::backup {

/// Counts on while rows go by; may be empty. `total` is an estimate until the end.
using Progress = std::function<void(std::string_view what, std::int64_t done, std::int64_t total)>;

/// Of one thread.
class Work {
 public:
  /// `share` of the time it works, the rest it sleeps: (0, 1]; 1 is as fast as it can.
  explicit Work(Progress progress = {}, double share = 1)
      : progress_(std::move(progress)), rest_per_work_(1 / share - 1), since_(std::chrono::steady_clock::now()) {}

  void tell(std::string_view what, std::int64_t done, std::int64_t total) const {
    if (progress_) progress_(what, done, total);
  }

  [[nodiscard]] bool gives_way() const noexcept { return rest_per_work_ > 0; }
  /// Between two small pieces of work, the smaller the better: sleeps as long as the pieces since the last sleep have
  /// earned. A wait for the disk counts as work: a slow disk is left alone for longer.
  void breathe();

 private:
  Progress progress_;
  double rest_per_work_;
  std::chrono::steady_clock::time_point since_;  ///< of the end of the last sleep
};

}  // namespace detection::store::backup
