#pragma once
// A SQLite connection that gives way as its work does, also within a statement that takes long (an index, a walk of the
// audit). It may not have another progress handler.

#include <sqlite3.h>

#include "store/backup/work.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {

/// For as long as it lives; the database, where it stays, must outlive it.
class Breathing {
 public:
  Breathing(sql::Database& db, Work& work) : handle_(sqlite::handle(db)) {
    constexpr int kOperations = 1'000;  // about 0.1 ms
    if (work.gives_way()) sqlite3_progress_handler(handle_, kOperations, &Breathing::breathe, &work);
  }
  ~Breathing() { sqlite3_progress_handler(handle_, 0, nullptr, nullptr); }
  Breathing(const Breathing&) = delete;
  Breathing& operator=(const Breathing&) = delete;

 private:
  static int breathe(void* work) {
    static_cast<Work*>(work)->breathe();
    return 0;
  }
  sqlite3* handle_;
};

}  // namespace detection::store::backup
