#pragma once
// Decides where a job goes: straight to the primary, or into the spool. What a source posts behind an answer of ours
// is never in front of what that answer was about: while anything is in the spool, all goes into the spool.
//
// The way back: under a steady load the spool is never empty and its writer never idle. So, when little is left, new
// jobs are held in memory for a moment (hold), what is left is replayed, and then they go to the primary (release).

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "store/spool/detours.hpp"
#include "store/spool/late_primary.hpp"
#include "store/spool/spool_writer.hpp"
#include "store/store.hpp"

namespace detection::store::spool {

/// What the spool is for, and no refusal of the job itself. The disk of the database may be full: that is its trouble.
/// The queue of a sink may be: that is told to the caller.
[[nodiscard]] bool belongs_in_spool(const Error& error) noexcept;

class Gate {
 public:
  Gate(const LatePrimary& primary, SpoolWriter& writer);

  /// `began` is called when spooling begins, with the reason; under the gate's lock, must not block.
  void start(std::function<void(std::string_view reason)> began);
  /// As Store's. While jobs go straight to the primary: one atomic load more than the primary's own, no lock.
  [[nodiscard]] bool submit(std::unique_ptr<CommitJob>& job);
  /// From now on jobs go into the spool.
  void spool(std::string_view reason);
  [[nodiscard]] bool direct() const noexcept { return direct_.load(std::memory_order_acquire); }
  /// Takes no more; those that are held go into the spool.
  void close();

  // For the replay.
  [[nodiscard]] bool hold();     ///< false: it is closed, or jobs go straight already
  [[nodiscard]] bool release();  ///< false: something is in the spool or on its way; the hold goes on
  void end_hold();               ///< those that are held go into the spool

 private:
  using Jobs = Detours::Jobs;
  [[nodiscard]] bool pass(Store& primary, std::unique_ptr<CommitJob>& job);
  [[nodiscard]] bool around(std::unique_ptr<CommitJob>& job);
  void returned(CommitHome* home, Jobs jobs);
  void begin(std::string_view reason);
  void spill();
  void force(std::unique_ptr<CommitJob> job);

  const LatePrimary& primary_;
  SpoolWriter& writer_;
  Detours detours_;
  std::function<void(std::string_view)> began_;
  std::atomic<bool> direct_{false};
  std::mutex mutex_;
  bool closed_ = false, holding_ = false;
  std::deque<std::unique_ptr<CommitJob>> held_;
};

}  // namespace detection::store::spool
