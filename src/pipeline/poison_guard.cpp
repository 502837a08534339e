#include "pipeline/poison_guard.hpp"

#include <algorithm>
#include <utility>

namespace detection::pipeline {
namespace {

/// Doubled from one event up to this, as many have arrived as a usual batch has: nothing is suspected any more.
constexpr std::size_t kFullAgain = 512;

}  // namespace

PoisonGuard::Verdict PoisonGuard::lost(const Loss& loss) {
  if (loss.events == 0) return Verdict::kGoOn;
  if (!careful()) {
    losses_ = loss.head == head_ ? losses_ + 1 : 1;
    head_ = loss.head;
    if (losses_ >= kLossesUntilCareful) at_once_ = 1;
    return Verdict::kGoOn;
  }
  const bool counts = loss.events == 1 && loss.server_served;
  strikes_ = !counts ? 0 : loss.head == suspect_ ? strikes_ + 1 : 1;
  suspect_ = loss.head;
  at_once_ = 1;
  if (counts && struck_out_.contains(loss.head) && std::exchange(trial_, false)) {
    strikes_ = 0;
    return Verdict::kGiveUp;
  }
  if (strikes_ < kStrikes) return Verdict::kGoOn;
  strikes_ = 0;
  struck_out_.insert(loss.head);
  if (++aside_ < kAsideMost) return Verdict::kSetAside;
  aside_ = 0;
  return Verdict::kTryAgain;
}

PoisonGuard::Verdict PoisonGuard::arrived(std::size_t events) {
  if (events == 0) return Verdict::kGoOn;
  losses_ = 0;
  strikes_ = 0;
  if (!careful()) return Verdict::kGoOn;
  if (std::exchange(aside_, 0) != 0) {
    trial_ = true;
    return Verdict::kTryAgain;
  }
  // Slowly up again: what else there is in the batch that was lost may be as bad.
  at_once_ = 2 * at_once_ < kFullAgain ? 2 * at_once_ : 0;
  if (!careful()) {
    struck_out_.clear();
    trial_ = false;
  }
  return Verdict::kGoOn;
}

PoisonGuard::Verdict PoisonGuard::nothing_else() {
  switch (std::exchange(aside_, 0)) {
    case 0: return Verdict::kGoOn;
    case 1: return Verdict::kGiveUp;
    default: return Verdict::kTryAgain;
  }
}

std::size_t PoisonGuard::at_once(std::size_t full) const noexcept {
  return careful() ? std::min(at_once_, full) : full;
}

}  // namespace detection::pipeline
