#pragma once
// The one writer of the spool: a thread that takes what waits, writes it in one transaction, and hands it back when it
// is on the disk, as spooled.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/spool/meter.hpp"
#include "store/spool/spool_file.hpp"
#include "store/store.hpp"

namespace detection::store::spool {

struct Capacity {
  std::int64_t items = 0, bytes = 0;
};

class SpoolWriter {
 public:
  /// Something else to be written, on the writer's thread, inside its transaction; sets right what it changes of the
  /// totals. May run again when the transaction had to be begun anew.
  using Work = std::function<Result<void>(SpoolFile&, Totals&)>;

  SpoolWriter(SpoolFile file, const Totals& found, const Capacity& capacity, Clock clock, std::shared_ptr<Meter> meter);
  ~SpoolWriter() { close(); }
  SpoolWriter(const SpoolWriter&) = delete;
  SpoolWriter& operator=(const SpoolWriter&) = delete;

  void start();
  /// Never blocks. False, and the job untouched, when the queue is full (`forced`: it never is) or closed. The job
  /// comes back to its home: kCapacityExceeded (nothing of it is stored) or kStoreUnavailable when it could not be
  /// written.
  [[nodiscard]] bool submit(std::unique_ptr<CommitJob>& job, bool forced);
  /// Durable when it returns without an error. Not on the writer's thread.
  [[nodiscard]] Result<void> execute(Work work);
  /// Writes what was submitted, then refuses more.
  void close();

  /// Nothing is on its way to the disk.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::size_t queued() const;
  [[nodiscard]] Totals totals() const;  ///< as of the last transaction
  [[nodiscard]] bool empty() const noexcept { return items_.load(std::memory_order_acquire) == 0; }
  [[nodiscard]] const Capacity& capacity() const noexcept { return capacity_; }
  /// Why the disk took nothing the last time, if so.
  [[nodiscard]] std::optional<std::string> failure() const;

 private:
  using Jobs = std::vector<std::unique_ptr<CommitJob>>;
  struct Order {
    Work work;
    Result<void> result;
    bool done = false;
  };
  struct Batch {
    Jobs jobs;
    std::vector<Order*> orders;
  };

  void run();
  void rest(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Batch take();
  void write(Batch batch);
  [[nodiscard]] Result<void> attempt(const Jobs& jobs, const std::vector<Order*>& orders);
  [[nodiscard]] Result<void> write_job(CommitJob& job, Totals& totals, UtcMicros now);
  [[nodiscard]] Result<bool> has_room(const CommitJob& job, const std::vector<std::string>& payloads,
                                      const Totals& totals);
  [[nodiscard]] Result<CommitResult> known(const Acceptance& item);
  void settle(const Result<void>& done);
  static void hand_back(Jobs jobs);

  SpoolFile file_;
  const Capacity capacity_;
  const Clock clock_;
  const std::shared_ptr<Meter> meter_;
  bool may_shrink_ = true;  // writer's thread

  mutable std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<std::unique_ptr<CommitJob>> jobs_;
  std::vector<Order*> orders_;
  std::size_t queued_items_ = 0;
  bool busy_ = false, closing_ = false;
  Totals totals_;
  std::optional<std::string> failure_;
  std::atomic<std::int64_t> items_;
  std::mutex close_mutex_;
  std::thread thread_;
};

}  // namespace detection::store::spool
