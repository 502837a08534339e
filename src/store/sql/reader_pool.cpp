#include "store/sql/reader_pool.hpp"

#include <optional>

#include "store/sql/limits.hpp"

namespace detection::store::sql {

Result<ReaderPool::Lease> ReaderPool::lease(bool limited) {
  std::optional<Database> db;
  {
    std::unique_lock lock(mutex_);
    back_.wait(lock, [this] { return lent_ < most_; });
    ++lent_;
    if (!free_.empty()) {
      db = std::move(free_.back());
      free_.pop_back();
    }
    tell();
  }
  if (!db) {
    auto opened = connect_();
    if (!opened) {
      {
        const std::lock_guard lock(mutex_);
        --lent_;
        tell();
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

void ReaderPool::take_back(Database db) {
  {
    const std::lock_guard lock(mutex_);
    if (!db.broken())
      free_.push_back(std::move(db));
    else
      free_.clear();  // what ended this one has most likely ended the others
    --lent_;
    tell();
  }
  back_.notify_one();
}

}  // namespace detection::store::sql
