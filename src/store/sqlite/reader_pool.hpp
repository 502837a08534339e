#pragma once
// Connections for reading, lent to one caller at a time. At most limits::kReaders; who finds none waits. Each use is
// bounded in time, since a snapshot that lives long holds up the write-ahead log.

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <vector>

#include "store/sqlite/database.hpp"

namespace detection::store::sqlite {

class ReaderPool {
 public:
  ReaderPool(std::filesystem::path file, Access access) : file_(std::move(file)), access_(access) {}

  /// A connection that goes back by itself.
  class Lease {
   public:
    Lease(ReaderPool& pool, Database db) : pool_(&pool), db_(std::move(db)) {}
    ~Lease();
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

 private:
  const std::filesystem::path file_;
  const Access access_;
  std::mutex mutex_;
  std::condition_variable back_;
  std::vector<Database> free_;
  std::size_t lent_ = 0;
};

}  // namespace detection::store::sqlite
