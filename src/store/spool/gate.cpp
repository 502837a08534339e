#include "store/spool/gate.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace detection::store::spool {
namespace {

/// As the engines word it (held to it by a test with the engine itself).
constexpr std::string_view kSinkQueue = "the queue of sink ";

}  // namespace

bool belongs_in_spool(const Error& error) noexcept {
  return error.code == ErrorCode::kStoreUnavailable ||
         (error.code == ErrorCode::kCapacityExceeded && !error.detail.starts_with(kSinkQueue));
}

Gate::Gate(const LatePrimary& primary, SpoolWriter& writer)
    : primary_(primary),
      writer_(writer),
      detours_([this](CommitHome* home, Jobs jobs) { returned(home, std::move(jobs)); }) {}

void Gate::start(std::function<void(std::string_view)> began) {
  began_ = std::move(began);
  const std::lock_guard lock(mutex_);
  direct_.store(primary_.complete() && writer_.empty(), std::memory_order_release);
}

bool Gate::submit(std::unique_ptr<CommitJob>& job) {
  if (direct())
    if (auto* primary = primary_.get(); primary != nullptr && pass(*primary, job)) return true;
  return around(job);
}

bool Gate::pass(Store& primary, std::unique_ptr<CommitJob>& job) {
  auto* const home = job->home;
  auto* const detour = detours_.of(home);
  job->home = detour;
  if (primary.submit(job)) return true;
  job->home = home;
  detours_.undo(detour);
  return false;
}

bool Gate::around(std::unique_ptr<CommitJob>& job) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (direct()) {
    // It came back to that just now, or the primary's queue is full.
    if (auto* primary = primary_.get(); primary != nullptr && pass(*primary, job)) return true;
    begin("the store has more to write than it takes");
  }
  if (holding_) {
    if (held_.size() < limits::kHeldJobs) {
      held_.push_back(std::move(job));
      return true;
    }
    spill();
  }
  return writer_.submit(job, false);
}

void Gate::spool(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  begin(reason);
}

void Gate::returned(CommitHome* home, Jobs jobs) {
  const auto is_good = [](const auto& job) { return !job->error || !belongs_in_spool(*job->error); };
  const auto all_good = std::ranges::all_of(jobs, is_good);
  Jobs bad;
  if (!all_good) {
    Jobs good;
    for (auto& job : jobs) (is_good(job) ? good : bad).push_back(std::move(job));
    jobs = std::move(good);
  }
  for (auto& job : jobs) job->home = home;
  if (home != nullptr && !jobs.empty()) home->committed(std::move(jobs));
  if (bad.empty()) return;
  const std::lock_guard lock(mutex_);
  begin(bad.front()->error->detail);
  spill();
  for (auto& job : bad) {
    job->home = home;
    job->error.reset();
    job->results.clear();
    force(std::move(job));
  }
}

void Gate::begin(std::string_view reason) {
  if (!direct_.exchange(false, std::memory_order_acq_rel)) return;
  if (began_) began_(reason);
}

void Gate::spill() {
  holding_ = false;
  for (auto& job : std::exchange(held_, {})) force(std::move(job));
}

void Gate::force(std::unique_ptr<CommitJob> job) {
  if (writer_.submit(job, true)) return;
  // Only behind the end of the spool, when nobody should be there any more.
  job->error = Error{ErrorCode::kStoreUnavailable, "the store is closed"};
  auto* const home = job->home;
  Jobs one;
  one.push_back(std::move(job));
  if (home != nullptr) home->committed(std::move(one));
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  direct_.store(false, std::memory_order_release);
  spill();
}

bool Gate::hold() {
  const std::lock_guard lock(mutex_);
  if (closed_ || direct()) return false;
  holding_ = true;
  return true;
}

bool Gate::release() {
  const std::lock_guard lock(mutex_);
  auto* const primary = primary_.get();
  // Not holding: a job came back that the primary could not take.
  if (!holding_ || primary == nullptr || !writer_.idle() || !writer_.empty()) return false;
  while (!held_.empty()) {
    if (!pass(*primary, held_.front())) return false;
    held_.pop_front();
  }
  holding_ = false;
  direct_.store(true, std::memory_order_release);
  return true;
}

void Gate::end_hold() {
  const std::lock_guard lock(mutex_);
  spill();
}

}  // namespace detection::store::spool
