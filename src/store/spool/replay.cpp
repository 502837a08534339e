#include "store/spool/replay.hpp"

#include <algorithm>
#include <utility>

#include "detection/json_writer.hpp"
#include "store/spool/limits.hpp"
#include "store/sql/digest.hpp"

namespace detection::store::spool {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{50};
constexpr std::string_view kActor = "spool";
constexpr std::string_view kOtherContent =
    "the database has another detection under this id, with other content; this one was accepted by the spool";

AuditEntry entry_of(const Conflict& conflict) {
  AuditEntry entry{.type = "error_occurred", .severity = "ERROR", .actor = std::string(kActor), .subject = conflict.id};
  entry.detail_json.clear();
  json::Writer w(entry.detail_json);
  w.begin_object();
  w.key("error");
  w.string("spool_conflict");
  w.key("reason");
  w.string(conflict.reason);
  w.key("number");
  w.integer(conflict.number);
  w.key("received");
  w.string(format_rfc3339_us(conflict.received));
  w.key("content_sha256");
  w.string(sql::hex(conflict.content_sha256));
  w.end_object();
  return entry;
}

}  // namespace

Replay::Replay(LatePrimary& primary, SpoolWriter& writer, SpoolFile reader, Gate& gate, Clock clock,
               telemetry::Log* log)
    : primary_(primary),
      writer_(writer),
      reader_(std::move(reader)),
      gate_(gate),
      clock_(clock),
      log_(log),
      home_(*this),
      batch_items_(limits::kReplayItems),
      wait_(limits::kRetryLeast) {}

Replay::~Replay() {
  drain(std::chrono::milliseconds{0});
}

void Replay::start() {
  thread_ = std::thread([this] { run(); });
}

void Replay::wake() noexcept {
  {
    const std::lock_guard lock(mutex_);
    called_ = true;
  }
  wake_.notify_one();
}

void Replay::drain(std::chrono::milliseconds most) {
  const std::lock_guard once(drain_mutex_);
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    drain_until_ = steady_clock::now() + most;
  }
  wake_.notify_one();
  thread_.join();
}

bool Replay::draining() {
  const std::lock_guard lock(mutex_);
  return drain_until_.has_value();
}

bool Replay::over() {
  const std::lock_guard lock(mutex_);
  return drain_until_ && steady_clock::now() >= *drain_until_;
}

void Replay::sleep(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  const auto until = steady_clock::now() + time;
  const bool before = drain_until_.has_value();
  while (steady_clock::now() < until && drain_until_.has_value() == before) {
    if (drain_until_ && steady_clock::now() >= *drain_until_) return;
    wake_.wait_until(lock, drain_until_ ? std::min(until, *drain_until_) : until);
  }
}

void Replay::run() {
  while (!over()) {
    if (draining() && writer_.idle() && writer_.empty()) return;
    turn();
  }
}

void Replay::turn() {
  if (handed_.up_to != 0) take_out();
  if (audit_due_ && primary_.complete()) audit_conflicts();
  if (gate_.direct()) return idle();
  if (auto there = primary_.bring(); !there) {
    why_ = there.error().detail;
    return pause();
  }
  switch (step()) {
    case Step::kMoved:
      wait_ = limits::kRetryLeast;
      told_.clear();
      if (writer_.totals().items <= static_cast<std::int64_t>(limits::kReplayItems)) return_to_direct();
      return;
    case Step::kEmpty:
      if (const auto status = primary_.get()->status(); !worked_ && !status.writable) {
        why_ = status.reason;
        return pause();
      }
      return_to_direct();
      if (!gate_.direct()) sleep(kLook);
      return;
    case Step::kBlocked: return pause();
  }
}

void Replay::idle() {
  std::unique_lock lock(mutex_);
  const auto called = [this] { return called_ || drain_until_; };
  if (audit_due_ || handed_.up_to != 0)
    wake_.wait_for(lock, limits::kRetryMost, called);
  else
    wake_.wait(lock, called);
  called_ = false;
}

void Replay::pause() {
  worked_ = false;
  if (log_ != nullptr && told_ != why_)
    log_->warning("spool_waits", "what is in the spool cannot be handed to the database yet",
                  {{"reason", why_}, {"spooled", writer_.totals().items}});
  told_ = why_;
  sleep(std::exchange(wait_, std::min(2 * wait_, std::chrono::milliseconds(limits::kRetryMost))));
}

Replay::Step Replay::blocked(const Error& error) {
  why_ = error.detail;
  return Step::kBlocked;
}

void Replay::return_to_direct() {
  if (draining() || steady_clock::now() < hold_again_ || !primary_.complete() || !gate_.hold()) return;
  hold_until_ = steady_clock::now() + limits::kHoldMost;
  while (!hold_is_over() && !draining()) {
    if (gate_.release()) {
      if (log_ != nullptr)
        log_->info("spooling_over", "the database has everything from the spool; detections go straight to it again",
                   {{"replayed", replayed_}});
      replayed_ = 0;
      worked_ = false;
      return;
    }
    const auto done = step();
    if (done == Step::kBlocked) break;
    if (done == Step::kEmpty) sleep(std::chrono::milliseconds{1});
  }
  gate_.end_hold();
  hold_again_ = steady_clock::now() + limits::kHoldAgain;
}

bool Replay::hold_is_over() const {
  return steady_clock::now() >= hold_until_;
}

Replay::Step Replay::step() {
  auto items = reader_.oldest(handed_.up_to, batch_items_, limits::kReplayBytes);
  if (!items) return blocked(items.error());
  if (items->empty()) return Step::kEmpty;
  if (items->front().number <= single_up_to_) items->erase(items->begin() + 1, items->end());
  const auto damaged = std::ranges::find_if(*items, [](const auto& item) { return !item.acceptance; });
  if (damaged == items->begin()) return keep(*damaged, damaged->acceptance.error().detail);
  items->erase(damaged, items->end());

  const auto job = commit(*items);
  if (!job) return blocked({ErrorCode::kStoreUnavailable, "the database does not answer"});
  if (job->error) return refused(*job->error, *items);
  return settle(*items, *job);
}

std::unique_ptr<CommitJob> Replay::commit(std::vector<SpooledItem>& items) {
  auto job = std::make_unique<CommitJob>();
  job->items.reserve(items.size());
  for (auto& item : items) job->items.push_back(std::move(*item.acceptance));
  job->home = &home_;
  if (!primary_.get()->submit(job)) return nullptr;
  std::unique_lock lock(mutex_);
  const auto over = [this] { return drain_until_ && steady_clock::now() >= *drain_until_; };
  // Looked at again and again: the end may be near, and the primary may be one that gives nothing back.
  while (!answer_ && !over()) {
    wake_.wait_for(lock, kLook);
    if (answer_ || !hold_is_over()) continue;
    // It was well just now and is not any more: those that are held do not wait for it.
    lock.unlock();
    gate_.end_hold();
    lock.lock();
  }
  return std::move(answer_);
}

void Replay::Home::committed(std::vector<std::unique_ptr<CommitJob>> jobs) noexcept {
  {
    const std::lock_guard lock(replay_.mutex_);
    replay_.answer_ = std::move(jobs.front());
  }
  replay_.wake_.notify_one();
}

Replay::Step Replay::refused(const Error& error, const std::vector<SpooledItem>& items) {
  const bool full = error.code == ErrorCode::kCapacityExceeded;
  if (full && items.size() > 1) {
    // All of these were accepted: fewer may fit.
    batch_items_ = items.size() / 2;
    return Step::kMoved;
  }
  if (full || error.code == ErrorCode::kStoreUnavailable) return blocked(error);
  if (items.size() == 1) return keep(items.front(), error.detail);
  single_up_to_ = items.back().number;
  return Step::kMoved;
}

Replay::Step Replay::settle(const std::vector<SpooledItem>& items, const CommitJob& job) {
  std::vector<std::int64_t> conflicts;
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    bytes += items[i].bytes;
    if (job.results[i].outcome != CommitOutcome::kConflict) continue;
    conflicts.push_back(items[i].number);
    if (log_ != nullptr)
      log_->error("spool_conflict", kOtherContent,
                  {{"detection_id", to_string(job.items[i].located.id)}, {"source", job.items[i].located.source}});
  }
  auto before = handed_;
  handed_.up_to = items.back().number;
  handed_.conflicts.insert(handed_.conflicts.end(), conflicts.begin(), conflicts.end());
  const auto count = [&](Totals& totals) {
    totals.items -= static_cast<std::int64_t>(items.size());
    totals.bytes -= bytes;
  };
  const auto done = writer_.execute([&](SpoolFile& file, Totals& totals) -> Result<void> {
    if (auto gone = remove_handed(file); !gone) return gone;
    count(totals);
    return handed_.conflicts.empty() ? Result<void>() : file.count_conflicts(totals);
  });
  if (done) {
    audit_due_ = audit_due_ || !handed_.conflicts.empty();
    handed_ = {};
  } else {
    // A transaction that writes nothing needs no room.
    const auto counted = writer_.execute([&](SpoolFile&, Totals& totals) {
      count(totals);
      return Result<void>();
    });
    if (!counted) {
      handed_ = std::move(before);
      return blocked(done.error());
    }
    if (before.up_to == 0 && log_ != nullptr)
      log_->warning("spool_not_emptied", "the database has it, but the disk does not let it be taken out of the spool",
                    {{"reason", done.error().detail}});
  }
  worked_ = true;
  log_recorded(job);
  replayed_ += static_cast<std::int64_t>(items.size());
  batch_items_ = std::min(limits::kReplayItems, 2 * batch_items_);
  return Step::kMoved;
}

void Replay::log_recorded(const CommitJob& job) const {
  if (log_ == nullptr || !log_->enabled(telemetry::Level::kInfo)) return;
  std::vector<Uuid> recorded;
  for (std::size_t i = 0; i < job.items.size(); ++i)
    if (job.results[i].outcome != CommitOutcome::kConflict) recorded.push_back(job.items[i].located.id);
  log_->about(recorded, telemetry::Level::kInfo, "detection_recorded", "went from the spool into the database");
}

Result<void> Replay::remove_handed(SpoolFile& file) const {
  for (const auto number : handed_.conflicts)
    if (auto kept = file.keep_as_conflict(number, kOtherContent, clock_()); !kept) return kept;
  return file.remove_up_to(handed_.up_to);
}

void Replay::take_out() {
  const auto done = writer_.execute([&](SpoolFile& file, Totals& totals) -> Result<void> {
    if (auto gone = remove_handed(file); !gone) return gone;
    return file.count_conflicts(totals);
  });
  if (!done) return;
  audit_due_ = audit_due_ || !handed_.conflicts.empty();
  handed_ = {};
  if (log_ != nullptr) log_->info("spool_emptied", "what the database has was taken out of the spool");
}

Replay::Step Replay::keep(const SpooledItem& item, const std::string& reason) {
  if (log_ != nullptr)
    log_->error("spool_conflict", "a spooled detection cannot be stored; it is kept in the spool's file",
                {{"reason", reason}, {"number", item.number}});
  const auto done = writer_.execute([&](SpoolFile& file, Totals& totals) -> Result<void> {
    if (auto kept = file.keep_as_conflict(item.number, reason, clock_()); !kept) return kept;
    --totals.items;
    totals.bytes -= item.bytes;
    return file.count_conflicts(totals);
  });
  if (!done) return blocked(done.error());
  audit_due_ = true;
  return Step::kMoved;
}

void Replay::audit_conflicts() {
  const auto conflicts = reader_.unaudited(limits::kConflictsAudited);
  if (!conflicts) return;  // shows in the next step
  for (const auto& conflict : *conflicts) {
    if (const auto recorded = primary_.get()->record(entry_of(conflict)); !recorded) return;
    const auto marked = writer_.execute([&](SpoolFile& file, Totals&) { return file.mark_audited(conflict.number); });
    if (!marked) return;  // it is recorded again rather than not at all
  }
  audit_due_ = conflicts->size() == limits::kConflictsAudited;
}

}  // namespace detection::store::spool
