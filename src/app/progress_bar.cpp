#include "app/progress_bar.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace detection::app {
namespace {

constexpr std::chrono::milliseconds kEvery{100};

}  // namespace

std::string bar_text(std::string_view what, std::int64_t done, std::int64_t total) {
  constexpr int kWidth = 30;
  constexpr std::size_t kWords = 13;
  const double share = total <= 0 ? 0 : std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * kWidth);
  auto percent = std::to_string(static_cast<int>(share * 100));
  std::string out = "  " + std::string(what);
  out.append(what.size() < kWords ? kWords - what.size() : 1, ' ');
  out.append("[").append(full, '#').append(kWidth - full, '.').append("] ");
  return out.append(3 - std::min<std::size_t>(percent.size(), 3), ' ').append(percent).append(" %");
}

ProgressBar::ProgressBar(bool wanted) : terminal_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(std::string_view what, std::int64_t done, std::int64_t total) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (what == what_ && now < next_) return;
  what_ = what;
  next_ = now + kEvery;
  shown_ = true;
  std::fprintf(stderr, "\r\033[K%s", bar_text(what, done, total).c_str());
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

}  // namespace detection::app
