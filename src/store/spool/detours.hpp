#pragma once
// Where jobs that go straight to the primary come back to, instead of to their own home. A job keeps its context, its
// content is not touched, and nothing is allocated for it: there is one detour for each home (an HTTP thread has two).

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "store/spool/limits.hpp"
#include "store/store.hpp"

namespace detection::store::spool {

class Detours {
 public:
  using Jobs = std::vector<std::unique_ptr<CommitJob>>;
  /// Called with the jobs of one home as they come back; must not block or throw.
  using Back = std::function<void(CommitHome* home, Jobs jobs)>;

  explicit Detours(Back back);
  Detours(const Detours&) = delete;
  Detours& operator=(const Detours&) = delete;

  /// Any thread, no lock. To be put into a job that is then given to a store; undo() when that did not take it.
  [[nodiscard]] CommitHome* of(CommitHome* home);
  void undo(CommitHome* detour) noexcept;

 private:
  class Kept final : public CommitHome {
   public:
    void committed(Jobs jobs) noexcept override { owner->back_(home.load(std::memory_order_acquire), std::move(jobs)); }
    Detours* owner = nullptr;
    std::atomic<CommitHome*> home{nullptr};
  };
  /// For one job, where more homes are known at once than there is room for.
  class Single final : public CommitHome {
   public:
    Single(Detours& owner, CommitHome* home) : owner_(owner), home_(home) {}
    void committed(Jobs jobs) noexcept override {
      const std::unique_ptr<Single> self(this);
      owner_.back_(home_, std::move(jobs));
    }

   private:
    Detours& owner_;
    CommitHome* home_;
  };

  const Back back_;
  std::array<Kept, limits::kHomes> kept_;
  Kept homeless_;  ///< of jobs whose caller does not want them back
};

}  // namespace detection::store::spool
