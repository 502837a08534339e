#pragma once
// The pages of a snapshot while they are written: a SQLite database of the newest schema, filled without its triggers
// and indexes, which are made at the end. Nothing of it is on the disk for sure before seal().

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "store/backup/file.hpp"
#include "store/backup/rows.hpp"
#include "store/backup/work.hpp"

namespace detection::store::backup {

class SnapshotDatabase {
 public:
  /// The file must not exist.
  [[nodiscard]] static Result<SnapshotDatabase> create(const std::filesystem::path& path, Work& work);

  [[nodiscard]] Result<void> insert(const Table& table, Row row);
  /// Triggers and indexes; then the connection is closed.
  [[nodiscard]] Result<void> finish();
  [[nodiscard]] sql::Database& database() noexcept { return db_; }

 private:
  SnapshotDatabase(File file, sql::Database db, Work& work) : work_(work), file_(std::move(file)), db_(std::move(db)) {}
  [[nodiscard]] Result<void> take_definitions();
  [[nodiscard]] Result<void> write_out();

  Work& work_;
  File file_;
  std::int64_t rows_ = 0, written_out_bytes_ = 0;
  sql::Database db_;
  std::vector<std::string> definitions_;
  std::map<std::string, sql::Statement*, std::less<>> inserts_;
};

}  // namespace detection::store::backup
