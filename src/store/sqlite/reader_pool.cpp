#include "store/sqlite/reader_pool.hpp"

#include "store/sqlite/limits.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::sqlite {

Result<ReaderPool::Lease> ReaderPool::lease(bool limited) {
  std::optional<Database> db;
  {
    std::unique_lock lock(mutex_);
    back_.wait(lock, [this] { return lent_ < limits::kReaders; });
    ++lent_;
    if (!free_.empty()) {
      db = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!db) {
    auto opened = connect(file_, access_);
    if (!opened) {
      {
        const std::lock_guard lock(mutex_);
        --lent_;
      }
      back_.notify_one();
      return std::unexpected(std::move(opened.error()));
    }
    db = std::move(*opened);
  }
  if (limited)
    db->set_deadline(std::chrono::steady_clock::now() + limits::kReadTime);
  else
    db->set_deadline(std::nullopt);
  return Lease(*this, std::move(*db));
}

ReaderPool::Lease::~Lease() {
  if (pool_ == nullptr) return;
  {
    const std::lock_guard lock(pool_->mutex_);
    pool_->free_.push_back(std::move(db_));
    --pool_->lent_;
  }
  pool_->back_.notify_one();
}

}  // namespace detection::store::sqlite
