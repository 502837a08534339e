#include "store/spool/detours.hpp"

namespace detection::store::spool {
namespace {

constexpr std::size_t kTries = 16;

std::size_t place_of(const CommitHome* home) {
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(home) * 0x9e37'79b9'7f4a'7c15) >> 40);
}

}  // namespace

Detours::Detours(Back back) : back_(std::move(back)) {
  for (auto& detour : kept_) detour.owner = this;
  homeless_.owner = this;
}

CommitHome* Detours::of(CommitHome* home) {
  if (home == nullptr) return &homeless_;
  for (std::size_t i = place_of(home), tries = 0; tries < kTries; ++i, ++tries) {
    auto& detour = kept_[i % kept_.size()];
    CommitHome* known = detour.home.load(std::memory_order_acquire);
    if (known == nullptr && detour.home.compare_exchange_strong(known, home, std::memory_order_acq_rel)) return &detour;
    if (known == home) return &detour;
  }
  return new Single(*this, home);
}

void Detours::undo(CommitHome* detour) noexcept {
  for (const auto& one : kept_)
    if (&one == detour) return;
  if (detour != &homeless_) delete static_cast<Single*>(detour);
}

}  // namespace detection::store::spool
