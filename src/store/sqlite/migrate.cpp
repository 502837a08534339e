#include "store/sqlite/migrate.hpp"

#include "store/sqlite/beside.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::sqlite {

Result<Migrated> migrate(const std::filesystem::path& directory) {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure)
    return fail(ErrorCode::kConfiguration,
                "cannot make the data directory " + directory.string() + ": " + failure.message());
  const auto file = directory / "detections.db";
  Migrated migrated{.after = schema_version()};
  if (std::filesystem::exists(file, failure)) {
    auto db = open_database(file, Access::kQuery);
    if (!db) return std::unexpected(std::move(db.error()));
    auto version = db->integer("PRAGMA user_version");
    if (!version) return std::unexpected(std::move(version.error()));
    migrated.before = version->value_or(0);
  }
  // Looks again itself, as another process may be at it too.
  if (auto done = connect_beside(file); !done) return std::unexpected(std::move(done.error()));
  return migrated;
}

}  // namespace detection::store::sqlite
