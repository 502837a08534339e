#include "store/spool/spool_writer.hpp"

#include <algorithm>
#include <utility>

#include "store/spool/limits.hpp"
#include "store/spool/payload.hpp"

namespace detection::store::spool {
namespace {

/// In the words of the caller; what the disk says is in the log and in the status.
Error for_caller(const Error& error) {
  if (error.code == ErrorCode::kCapacityExceeded)
    return {ErrorCode::kCapacityExceeded, "the spool is full: no room is left on its disk; nothing was stored"};
  return {ErrorCode::kStoreUnavailable, "neither the database nor the spool can take it now"};
}

}  // namespace

SpoolWriter::SpoolWriter(SpoolFile file, const Totals& found, const Capacity& capacity, Clock clock,
                         std::shared_ptr<Meter> meter)
    : file_(std::move(file)),
      capacity_(capacity),
      clock_(clock),
      meter_(std::move(meter)),
      totals_(found),
      items_(found.items) {
  meter_->set(totals_);
}

void SpoolWriter::start() {
  thread_ = std::thread([this] { run(); });
}

bool SpoolWriter::submit(std::unique_ptr<CommitJob>& job, bool forced) {
  {
    const std::lock_guard lock(mutex_);
    const auto items = job->items.size();
    if (closing_) return false;
    // A job that is larger than the whole queue may still be, by itself, taken.
    if (!forced &&
        (jobs_.size() >= limits::kQueuedJobs || (queued_items_ != 0 && queued_items_ + items > limits::kQueuedItems)))
      return false;
    queued_items_ += items;
    jobs_.push_back(std::move(job));
  }
  work_.notify_one();
  return true;
}

Result<void> SpoolWriter::execute(Work work) {
  Order order{std::move(work), {}};
  std::unique_lock lock(mutex_);
  if (closing_) return fail(ErrorCode::kStoreUnavailable, "the spool is closed");
  orders_.push_back(&order);
  work_.notify_one();
  done_.wait(lock, [&order] { return order.done; });
  return std::move(order.result);
}

void SpoolWriter::close() {
  const std::lock_guard once(close_mutex_);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool SpoolWriter::idle() const {
  const std::lock_guard lock(mutex_);
  return jobs_.empty() && orders_.empty() && !busy_;
}

std::size_t SpoolWriter::queued() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

Totals SpoolWriter::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::optional<std::string> SpoolWriter::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void SpoolWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (jobs_.empty() && orders_.empty()) {
      if (closing_) return;
      rest(lock);
      continue;
    }
    busy_ = true;
    auto batch = take();
    lock.unlock();
    write(std::move(batch));
    file_.bound_log();
    lock.lock();
    busy_ = false;
  }
}

void SpoolWriter::rest(std::unique_lock<std::mutex>& lock) {
  const auto called = [this] { return closing_ || !jobs_.empty() || !orders_.empty(); };
  if (!failure_) {
    if (may_shrink_ && totals_.items == 0) {
      lock.unlock();
      may_shrink_ = file_.shrink().value_or(false);
      lock.lock();
      return;
    }
    return work_.wait(lock, called);
  }
  // Nobody may post while it is known to be broken: it has to find out by itself.
  if (work_.wait_for(lock, limits::kProbeEvery, called)) return;
  lock.unlock();
  settle(file_.write([this] { return file_.probe(); }));
  lock.lock();
}

SpoolWriter::Batch SpoolWriter::take() {
  Batch batch;
  batch.orders.swap(orders_);
  std::size_t items = 0;
  while (!jobs_.empty()) {
    const auto more = jobs_.front()->items.size();
    if (!batch.jobs.empty() && items + more > limits::kItemsOfCommit) break;
    items += more;
    queued_items_ -= more;
    batch.jobs.push_back(std::move(jobs_.front()));
    jobs_.pop_front();
  }
  return batch;
}

void SpoolWriter::write(Batch batch) {
  auto done = attempt(batch.jobs, batch.orders);
  if (!done && !batch.orders.empty()) {
    // A disk that takes no more may yet take what makes room, and a removal that fails spoils no detection.
    const auto removed = attempt({}, batch.orders);
    for (auto* order : batch.orders) order->result = removed;
    done = batch.jobs.empty() ? removed : attempt(batch.jobs, {});
  }
  if (!done)
    for (auto& job : batch.jobs) {
      job->results.clear();
      job->error = for_caller(done.error());
    }
  for (auto& job : batch.jobs) job->spooled = !job->error;
  settle(done);
  hand_back(std::move(batch.jobs));
  if (batch.orders.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (auto* order : batch.orders) order->done = true;
  }
  done_.notify_all();
}

Result<void> SpoolWriter::attempt(const Jobs& jobs, const std::vector<Order*>& orders) {
  auto totals = this->totals();
  const auto now = clock_();
  auto done = file_.write([&]() -> Result<void> {
    for (auto* order : orders)
      if (auto worked = order->work(file_, totals); !worked) return worked;
    for (const auto& job : jobs)
      if (auto written = write_job(*job, totals, now); !written) return written;
    auto oldest = file_.oldest_received();
    if (!oldest) return std::unexpected(std::move(oldest.error()));
    totals.oldest = totals.items == 0 ? std::nullopt : *oldest;  // the file may still hold what was handed over
    return {};
  });
  if (!done) return done;
  if (!orders.empty()) may_shrink_ = true;
  meter_->set(totals);
  items_.store(totals.items, std::memory_order_release);
  const std::lock_guard lock(mutex_);
  totals_ = totals;
  return {};
}

Result<void> SpoolWriter::write_job(CommitJob& job, Totals& totals, UtcMicros now) {
  job.results.clear();
  job.error.reset();
  std::vector<std::string> payloads;
  payloads.reserve(job.items.size());
  for (const auto& item : job.items) payloads.push_back(encode(item));
  auto room = has_room(job, payloads, totals);
  if (!room) return std::unexpected(std::move(room.error()));
  if (!*room) {
    job.error =
        Error{ErrorCode::kCapacityExceeded,
              "the spool is full: " + std::to_string(totals.items) + " of at most " + std::to_string(capacity_.items) +
                  " detections (" + std::to_string(totals.bytes + totals.conflict_bytes) + " of " +
                  std::to_string(capacity_.bytes) + " bytes) wait for the database; nothing was stored"};
    return {};
  }
  job.results.reserve(job.items.size());
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    auto inserted = file_.insert(job.items[i], payloads[i], now);
    if (!inserted) return std::unexpected(std::move(inserted.error()));
    if (*inserted) {
      ++totals.items;
      totals.bytes += static_cast<std::int64_t>(payloads[i].size());
      job.results.push_back({});
      continue;
    }
    auto result = known(job.items[i]);
    if (!result) return std::unexpected(std::move(result.error()));
    job.results.push_back(std::move(*result));
  }
  return {};
}

Result<bool> SpoolWriter::has_room(const CommitJob& job, const std::vector<std::string>& payloads,
                                   const Totals& totals) {
  std::int64_t items = totals.items, bytes = totals.bytes + totals.conflict_bytes;
  const auto fits = [&] { return items <= capacity_.items && bytes <= capacity_.bytes; };
  for (const auto& payload : payloads) bytes += static_cast<std::int64_t>(payload.size());
  items += static_cast<std::int64_t>(payloads.size());
  if (fits()) return true;
  // A caller who did not hear our answer asks again: that needs no room.
  bool any = false;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const auto found = file_.find(job.items[i].located.id);
    if (!found) return std::unexpected(found.error());
    any = any || !*found;
    if (!*found) continue;
    --items;
    bytes -= static_cast<std::int64_t>(payloads[i].size());
  }
  return !any || fits();
}

Result<CommitResult> SpoolWriter::known(const Acceptance& item) {
  auto found = file_.find(item.located.id);
  if (!found) return std::unexpected(std::move(found.error()));
  CommitResult result{CommitOutcome::kConflict, 0, nullptr};
  // What is kept may be damaged: then this one, which cannot be held against it, is a conflict too.
  if (!*found || !(*found)->acceptance) return result;
  auto& first = *(*found)->acceptance;
  if (first.content_sha256 != item.content_sha256) return result;
  result.outcome = CommitOutcome::kRepeated;
  result.first = std::make_unique<StoredDetection>();
  result.first->located = std::move(first.located);
  result.first->disposition = first.disposition;
  result.first->request_json = std::move(first.request_json);
  result.first->content_sha256 = first.content_sha256;
  return result;
}

void SpoolWriter::settle(const Result<void>& done) {
  const std::lock_guard lock(mutex_);
  if (done)
    failure_.reset();
  else
    failure_ = done.error().detail;
}

void SpoolWriter::hand_back(Jobs jobs) {
  std::vector<std::pair<CommitHome*, Jobs>> homes;  // few
  for (auto& job : jobs) {
    auto* home = job->home;
    if (home == nullptr) continue;
    auto at = std::ranges::find(homes, home, &std::pair<CommitHome*, Jobs>::first);
    if (at == homes.end()) at = homes.insert(homes.end(), {home, Jobs{}});
    at->second.push_back(std::move(job));
  }
  for (auto& [home, theirs] : homes) home->committed(std::move(theirs));
}

}  // namespace detection::store::spool
