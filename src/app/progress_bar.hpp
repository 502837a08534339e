#pragma once
// A bar on the terminal for what takes long; nothing where stderr is none.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace detection::app {

class ProgressBar {
 public:
  explicit ProgressBar(bool wanted);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::string_view what, std::int64_t done, std::int64_t total);
  /// As others call it; this object outlives it.
  [[nodiscard]] std::function<void(std::string_view, std::int64_t, std::int64_t)> follower() {
    return [this](std::string_view what, std::int64_t done, std::int64_t total) { show(what, done, total); };
  }
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
  std::string what_;
  std::chrono::steady_clock::time_point next_{};
};

/// "  copying      [########............]  40 %", without a line end.
[[nodiscard]] std::string bar_text(std::string_view what, std::int64_t done, std::int64_t total);

}  // namespace detection::app
