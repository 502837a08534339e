#include "store/sql/writer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "store/sql/limits.hpp"

namespace detection::store::sql {
namespace {

std::unexpected<Error> closed() {
  return fail(ErrorCode::kStoreUnavailable, "the store is closed");
}

/// Only what was asked was wrong; the store itself is well.
bool refusal(const Error& error) {
  return error.code != ErrorCode::kStoreUnavailable && error.code != ErrorCode::kCapacityExceeded;
}

}  // namespace

Writer::Writer(Database db, std::string chain, Backend& backend, Clock clock, telemetry::Metrics* metrics)
    : db_(std::move(db)),
      ledger_(db_, std::move(chain)),
      backend_(backend),
      clock_(clock),
      metrics_(metrics),
      chain_name_(ledger_.chain_name()) {
  if (metrics == nullptr) return;
  commit_seconds_ = metrics->histogram(telemetry::kStoreCommitDurationSeconds);
  commit_items_ = metrics->histogram(telemetry::kStoreCommitBatchSize);
  queue_jobs_ = metrics->gauge(telemetry::kStoreQueueJobs);
  for (std::size_t i = 0; i < acceptances_.size(); ++i)
    acceptances_[i] = metrics->counter(telemetry::kAuditEventsTotal, {kAcceptanceEvents[i], "INFO"});
}

Result<void> Writer::load() {
  auto done = ledger_.load();
  committed_ = ledger_.state();
  return done;
}

void Writer::start() {
  thread_ = std::thread([this] { run(); });
}

bool Writer::submit(std::unique_ptr<CommitJob>& job) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const auto items = job->items.size();
    // A job that is larger than the whole queue may still be, by itself, taken.
    if (closing_ || small_.size() + large_.size() >= limits::kQueuedJobs ||
        (queued_items_ != 0 && queued_items_ + items > limits::kQueuedItems))
      return false;
    queued_items_ += items;
    (items > limits::kItemsOfSharedCommit ? large_ : small_).push_back(std::move(job));
    wake = std::exchange(idle_, false);
  }
  if (wake) work_.notify_one();
  return true;
}

Result<void> Writer::execute(Work work) {
  Order order{std::move(work), {}};
  std::unique_lock lock(mutex_);
  if (closing_) return closed();
  orders_.push_back(&order);
  if (std::exchange(idle_, false)) work_.notify_one();
  done_.wait(lock, [&order] { return order.done; });
  return std::move(order.result);
}

void Writer::on_due(std::function<void()> listener) {
  const std::lock_guard lock(listener_mutex_);
  due_listener_ = std::move(listener);
}

void Writer::on_commit(std::function<void()> listener) {
  const std::lock_guard lock(listener_mutex_);
  commit_listener_ = std::move(listener);
}

void Writer::close() {
  const std::lock_guard once(close_mutex_);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    idle_ = false;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Ledger::State Writer::state() const {
  const std::lock_guard lock(mutex_);
  return committed_;
}

std::optional<std::string> Writer::failure() const {
  const std::lock_guard lock(mutex_);
  if (closing_) return "the store is closed";
  return failure_;
}

std::size_t Writer::waiting() const {
  const std::lock_guard lock(mutex_);
  return small_.size() + large_.size();
}

void Writer::count_audit(std::string_view type, std::string_view severity, std::size_t events) {
  if (metrics_ != nullptr && events != 0)
    metrics_->counter(telemetry::kAuditEventsTotal, {type, severity}).increment(static_cast<double>(events));
}

void Writer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!has_work()) {
      if (closing_) return;
      idle_ = true;
      const auto awake = [this] { return !idle_; };
      if (!failure_) {
        work_.wait(lock, awake);
      } else if (!work_.wait_for(lock, backend_.probe_every(), awake)) {
        idle_ = false;
        lock.unlock();
        probe();
        lock.lock();
      }
      continue;
    }
    auto batch = take();
    lock.unlock();
    commit(std::move(batch));
    backend_.between(db_);
    lock.lock();
  }
}

Writer::Batch Writer::take() {
  Batch batch;
  batch.orders.swap(orders_);
  const auto move_one = [&](auto& queue) {
    queued_items_ -= queue.front()->items.size();
    batch.jobs.push_back(std::move(queue.front()));
    queue.pop_front();
  };
  // Single detections wait for one large batch at most, large batches for one shared commit.
  if (!large_.empty() && (large_turn_ || small_.empty())) {
    move_one(large_);
    large_turn_ = false;
  } else {
    std::size_t items = 0;
    while (!small_.empty()) {
      items += small_.front()->items.size();
      if (items > limits::kItemsOfSharedCommit && !batch.jobs.empty()) break;
      move_one(small_);
    }
    large_turn_ = true;
  }
  queue_jobs_.set(static_cast<double>(small_.size() + large_.size()));
  return batch;
}

void Writer::commit(Batch batch) {
  const auto begun = std::chrono::steady_clock::now();
  auto done = mend();
  const auto before = ledger_.state();
  if (done) done = attempt(batch, false);
  if (!done && refusal(done.error()) && batch.parts() > 1) {
    // One of them spoils it for all: each by itself this time.
    ledger_.restore(before);
    done = attempt(batch, true);
  }
  if (!done) {
    ledger_.restore(before);
    for (auto& job : batch.jobs) {
      job->results.clear();
      job->error = done.error();
    }
    for (auto* order : batch.orders) order->result = std::unexpected(done.error());
  }
  const bool due = ledger_.state().due != before.due;
  if (!batch.jobs.empty()) {
    std::size_t items = 0, created = 0;
    for (const auto& job : batch.jobs) {
      items += job->items.size();
      created +=
          static_cast<std::size_t>(std::ranges::count(job->results, CommitOutcome::kCreated, &CommitResult::outcome));
    }
    commit_items_.observe(static_cast<double>(items));
    commit_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    for (auto& counter : acceptances_) counter.increment(static_cast<double>(created));
  }
  settle(done);
  hand_back(std::move(batch));
  if (!done) return;
  tell(due, true);
}

void Writer::tell(bool due, bool committed) {
  const std::lock_guard lock(listener_mutex_);
  if (due && due_listener_) due_listener_();
  if (committed && commit_listener_) commit_listener_();
}

void Writer::settle(const Result<void>& done) {
  const std::lock_guard lock(mutex_);
  committed_ = ledger_.state();
  if (done)
    failure_.reset();
  else if (!refusal(done.error()))
    failure_ = done.error().detail;
}

std::pair<std::string, ChainHead> Writer::chain() const {
  const std::lock_guard lock(mutex_);
  return {chain_name_, committed_.chain};
}

/// A new connection where the one before is broken; tried now and then, in between it fails at once.
Result<void> Writer::mend() {
  if (!db_.broken()) return {};
  const auto now = std::chrono::steady_clock::now();
  if (now < mend_again_) return fail(ErrorCode::kStoreUnavailable, failure().value_or("the database is away"));
  auto connected = backend_.reconnect();
  if (!connected) {
    mend_again_ = std::chrono::steady_clock::now() + backend_.probe_every() / 2;
    return std::unexpected(std::move(connected.error()));
  }
  db_ = std::move(connected->db);
  ledger_.write_chain(connected->chain);
  const std::lock_guard lock(mutex_);
  chain_name_ = std::move(connected->chain);
  committed_.chain = {};  // the old one's head must not be looked for in it
  return {};
}

Result<void> Writer::attempt(Batch& batch, bool isolate) {
  db_.set_deadline(backend_.deadline());
  auto transaction = Transaction::begin(db_, TransactionKind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  if (auto done = backend_.begin(ledger_); !done) return done;
  const auto now = clock_();
  if (!batch.jobs.empty())
    if (auto done = capacity_.begin(ledger_); !done) return done;
  std::vector<CommitJob*> jobs;
  for (auto& job : batch.jobs) {
    job->error.reset();
    job->results.clear();
    jobs.push_back(job.get());
  }
  if (!isolate) {
    if (auto done = write(jobs, now); !done) return done;
  } else {
    for (auto* job : jobs) {
      std::optional<Error> refused;
      if (auto done = isolated([&] { return write({&job, 1}, now); }, true, refused); !done) return done;
      if (!refused) continue;
      job->error = std::move(refused);
      job->results.clear();
    }
  }
  for (auto* order : batch.orders) {
    std::optional<Error> refused;
    if (auto done = isolated([&] { return order->work(ledger_, now); }, isolate, refused); !done) return done;
    order->result = refused ? Result<void>(std::unexpected(std::move(*refused))) : Result<void>();
  }
  if (auto done = backend_.finish(ledger_); !done) return done;
  return transaction->commit();
}

template <class Part>
Result<void> Writer::isolated(Part part, bool isolate, std::optional<Error>& refused) {
  if (!isolate) return part();
  const auto before = ledger_.state();
  if (auto done = db_.query("SAVEPOINT part").run(); !done) return done;
  if (auto done = part(); !done) {
    if (!refusal(done.error()) || !db_.in_transaction()) return done;
    refused = std::move(done.error());
    ledger_.restore(before);
    if (auto back = db_.query("ROLLBACK TO part").run(); !back) return back;
  }
  return db_.query("RELEASE part").run();
}

Result<void> Writer::write(std::span<CommitJob* const> jobs, UtcMicros now) {
  std::vector<const Acceptance*> items;
  for (auto* job : jobs) {
    auto refused = capacity_.admit(db_, *job);
    if (!refused) return std::unexpected(std::move(refused.error()));
    job->error = std::move(*refused);
    if (job->error) continue;
    for (const auto& item : job->items) items.push_back(&item);
  }
  auto results = backend_.accept(ledger_, items, now);
  if (!results) return std::unexpected(std::move(results.error()));
  auto next = results->begin();
  for (auto* job : jobs) {
    if (job->error) continue;
    const auto end = next + static_cast<std::ptrdiff_t>(job->items.size());
    job->results.assign(std::move_iterator(next), std::move_iterator(end));
    next = end;
  }
  return {};
}

void Writer::hand_back(Batch batch) {
  // Few homes (one for each HTTP thread), so a list is searched faster than a map.
  std::vector<std::pair<CommitHome*, Jobs>> homes;
  for (auto& job : batch.jobs) {
    auto* home = job->home;
    if (home == nullptr) continue;
    auto at = std::ranges::find(homes, home, &std::pair<CommitHome*, Jobs>::first);
    if (at == homes.end()) at = homes.insert(homes.end(), {home, Jobs{}});
    at->second.push_back(std::move(job));
  }
  for (auto& [home, jobs] : homes) home->committed(std::move(jobs));
  if (batch.orders.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (auto* order : batch.orders) order->done = true;
  }
  done_.notify_all();
}

void Writer::probe() {
  const auto written = [this]() -> Result<void> {
    if (auto done = mend(); !done) return done;
    db_.set_deadline(backend_.deadline());
    auto transaction = Transaction::begin(db_, TransactionKind::kWrite);
    if (!transaction) return std::unexpected(std::move(transaction.error()));
    auto done = backend_.probe(db_);
    return done ? transaction->commit() : done;
  }();
  settle(written);
}

}  // namespace detection::store::sql
