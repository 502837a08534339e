#include "store/backup/work.hpp"

#include <algorithm>
#include <thread>

namespace detection::store::backup {
namespace {

// Below it a sleep would last longer than it was meant to.
constexpr std::chrono::microseconds kSliceLeast{500};
// A disk, or a machine, that stood still is no work to rest from.
constexpr std::chrono::milliseconds kRestMost{250};

}  // namespace

void Work::breathe() {
  if (!gives_way()) return;
  const auto worked = std::chrono::steady_clock::now() - since_;
  if (worked < kSliceLeast) return;
  const std::chrono::duration<double> rest = worked * rest_per_work_;
  std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(rest, kRestMost));
  since_ = std::chrono::steady_clock::now();
}

}  // namespace detection::store::backup
