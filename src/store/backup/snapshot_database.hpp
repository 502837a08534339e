#pragma once
// The pages of a snapshot while they are written: a SQLite database of the newest schema, filled without its triggers
// and indexes, which are made at the end. Nothing of it is on the disk for sure before seal().

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "store/backup/rows.hpp"

namespace detection::store::backup {

class SnapshotDatabase {
 public:
  /// The file must not exist.
  [[nodiscard]] static Result<SnapshotDatabase> create(const std::filesystem::path& file);

  [[nodiscard]] Result<void> insert(const Table& table, Row row);
  /// Triggers and indexes; then the connection is closed.
  [[nodiscard]] Result<void> finish();
  [[nodiscard]] sql::Database& database() noexcept { return db_; }

 private:
  explicit SnapshotDatabase(sql::Database db) : db_(std::move(db)) {}
  [[nodiscard]] Result<void> take_definitions();

  sql::Database db_;
  std::vector<std::string> definitions_;
  std::map<std::string, sql::Statement*, std::less<>> inserts_;
};

}  // namespace detection::store::backup
