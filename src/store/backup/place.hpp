#pragma once
// Where a record lives: the one place of this room that knows both engines from outside.

#include <filesystem>
#include <string>

#include "store/sql/connection.hpp"

namespace detection::store::backup {

/// A database where `database_url` is given, else SQLite in `directory`.
struct Place {
  std::filesystem::path directory{};
  std::string database_url{};
  std::filesystem::path database_credentials{};  ///< as postgres::Options::credentials

  [[nodiscard]] bool is_postgres() const noexcept { return !database_url.empty(); }
  [[nodiscard]] std::filesystem::path file() const { return directory / "detections.db"; }
};

/// A connection that may read for a long time beside those that serve. kConfiguration: there is no store, or its
/// schema is neither this program's nor (PostgreSQL) the one behind it.
[[nodiscard]] Result<sql::Database> open_to_read(const Place& place);
/// One that may change everything in a PostgreSQL place.
[[nodiscard]] Result<sql::Database> open_to_replace(const Place& place);

}  // namespace detection::store::backup
