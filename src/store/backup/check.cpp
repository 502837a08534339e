#include "store/backup/check.hpp"

#include <atomic>
#include <system_error>

#include "store/backup/breathing.hpp"
#include "store/backup/content.hpp"
#include "store/backup/snapshot_file.hpp"
#include "store/sql/verify.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {

Result<sql::Database> open_pages(const std::filesystem::path& file, const Manifest& manifest) {
  const auto own = sqlite::schema_version();
  if (manifest.schema_version > own)
    return fail(ErrorCode::kConfiguration,
                file.string() + " has schema version " + std::to_string(manifest.schema_version) +
                    ", this program knows versions up to " + std::to_string(own) + "; use the newer program");
  return sqlite::open_database(file, sqlite::Access::kReadOnly);
}

Result<AuditVerdict> check_audit(sql::Database& db) {
  const std::atomic<bool> stop{false};
  return sql::verify(db, sql::VerifyContext{.stop = stop});
}

Result<Checked> unpack(const std::filesystem::path& file, const Manifest& manifest, const std::filesystem::path& to,
                       Work& work) {
  if (auto done = copy_pages(file, manifest, to, work); !done) return std::unexpected(std::move(done.error()));
  {
    auto pages = open_pages(to, manifest);
    if (!pages) return std::unexpected(std::move(pages.error()));
    if (auto done = compare(*pages, manifest, "comparing", work); !done)
      return std::unexpected(std::move(done.error()));
  }
  Checked checked{manifest, {}};
  {
    auto db = sqlite::connect(to, sqlite::Access::kCreate);
    if (!db) return std::unexpected(std::move(db.error()));
    const Breathing breathing(*db, work);
    auto audit = check_audit(*db);
    if (!audit) return std::unexpected(std::move(audit.error()));
    checked.audit = std::move(*audit);
  }
  // The last connection brings its log into the file and takes it away.
  std::error_code failure;
  const auto log = std::filesystem::path(to.string() + "-wal");
  if (std::filesystem::exists(log, failure) && std::filesystem::file_size(log, failure) > 0)
    return fail(ErrorCode::kStoreUnavailable, "the restored database could not be written whole");
  return checked;
}

}  // namespace detection::store::backup
