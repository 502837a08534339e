#pragma once
// Connections for reading, lent to one caller at a time; who finds none waits. Each use is bounded in time, since a
// snapshot that lives long holds up the write-ahead log (SQLite) or the vacuum (PostgreSQL).

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "store/sql/connection.hpp"

namespace detection::store::sql {

class ReaderPool {
 public:
  using Connect = std::function<Result<Database>()>;
  /// Tells how many are there and how many of these are lent, when that changes; must not block.
  using Watch = std::function<void(std::size_t open, std::size_t lent)>;

  ReaderPool(Connect connect, std::size_t most, Watch watch = {})
      : connect_(std::move(connect)), most_(most), watch_(std::move(watch)) {}

  /// A connection that goes back by itself.
  class Lease {
   public:
    Lease(ReaderPool& pool, Database db) : pool_(&pool), db_(std::move(db)) {}
    ~Lease() {
      if (pool_ != nullptr) pool_->take_back(std::move(db_));
    }
    Lease(Lease&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), db_(std::move(other.db_)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease& operator=(Lease&&) = delete;
    Database& operator*() { return db_; }
    Database* operator->() { return &db_; }

   private:
    ReaderPool* pool_;
    Database db_;
  };

  /// `limited`: its statements end after limits::kReadTime.
  [[nodiscard]] Result<Lease> lease(bool limited = true);
  /// Those that nobody has.
  void close_idle() {
    const std::lock_guard lock(mutex_);
    free_.clear();
    tell();
  }

 private:
  void take_back(Database db);
  void tell() const {
    if (watch_) watch_(free_.size() + lent_, lent_);
  }

  const Connect connect_;
  const std::size_t most_;
  const Watch watch_;
  std::mutex mutex_;
  std::condition_variable back_;
  std::vector<Database> free_;
  std::size_t lent_ = 0;
};

}  // namespace detection::store::sql
