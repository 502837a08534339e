#include "store/backup/place.hpp"

#include "store/postgres/postgres_connection.hpp"
#include "store/postgres/schema.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::backup {
namespace {

// A slice or a COPY is short; what takes long is the index of a constraint, a lock, and a busy disk in between.
constexpr std::chrono::seconds kConnectTime{10};
constexpr std::chrono::minutes kStatementTime{10};

Result<sql::Database> connect(const Place& place, bool read_only) {
  postgres::ConnectOptions options;
  options.url = place.database_url;
  options.credentials = place.database_credentials;
  options.application_name = read_only ? "detection-api backup" : "detection-api restore";
  options.connect_time = kConnectTime;
  options.statement_time = kStatementTime;
  options.idle_in_transaction = kStatementTime;
  options.read_only = read_only;
  auto connection = postgres::PostgresConnection::connect(options);
  if (!connection) return std::unexpected(std::move(connection.error()));
  return sql::Database(std::move(*connection));
}

/// The one behind this program's only has more than it knows: after a release was taken back such a database is served
/// for long, and must be backed up. What only the newer program wrote there is then not in the snapshot.
Result<void> check_version(sql::Database& db) {
  const auto version = postgres::stored_version(db);
  if (!version) return std::unexpected(version.error());
  const auto own = postgres::schema_version();
  if (*version == own || *version == own + 1) return {};
  const auto said =
      "the database has schema version " + std::to_string(*version) + ", this program's is " + std::to_string(own);
  return fail(ErrorCode::kConfiguration, said + (*version < own ? "; run this program's `detection-api migrate`, or "
                                                                  "take the program that it is of"
                                                                : "; use the newer program"));
}

}  // namespace

Result<sql::Database> open_to_read(const Place& place) {
  if (!place.is_postgres()) {
    std::error_code failure;
    if (!std::filesystem::exists(place.file(), failure))
      return fail(ErrorCode::kConfiguration, "there is no store in " + place.directory.string());
    return sqlite::connect(place.file(), sqlite::Access::kReadOnly);
  }
  auto db = connect(place, true);
  if (!db) return db;
  if (auto done = check_version(*db); !done) return std::unexpected(std::move(done.error()));
  return db;
}

Result<sql::Database> open_to_replace(const Place& place) {
  auto db = connect(place, false);
  if (!db) return db;
  if (auto done = check_version(*db); !done) return std::unexpected(std::move(done.error()));
  return db;
}

}  // namespace detection::store::backup
