#include <system_error>
#include <tuple>

#include "store/backup/backup.hpp"
#include "store/backup/check.hpp"
#include "store/backup/folder.hpp"
#include "store/backup/restore_postgres.hpp"
#include "store/backup/snapshot_file.hpp"
#include "store/sqlite/directory_lock.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnpacked = "detections.db.restoring";

fs::path with(const fs::path& file, std::string_view ending) {
  return fs::path(file.string() + std::string(ending));
}

Result<void> move(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  if (!fs::exists(from, failure)) return {};
  fs::rename(from, to, failure);
  if (failure) return fail(ErrorCode::kStoreUnavailable, "cannot move " + from.string() + ": " + failure.message());
  return {};
}

/// Brings the log of the store that is there into its file, so that nothing of it is left beside: SQLite would apply a
/// log to whatever file has its name. One that cannot be opened any more keeps its log under the name it gets.
Result<void> take_log_in(const fs::path& file, const fs::path& aside) {
  if (auto db = sqlite::open_database(file, sqlite::Access::kQuery))
    std::ignore = db->execute("PRAGMA wal_checkpoint(TRUNCATE)");
  std::error_code ignored;
  fs::remove(with(file, "-shm"), ignored);
  return move(with(file, "-wal"), with(aside, "-wal"));
}

/// The new store gets the name in one step: whenever this breaks off, there is the old one or the new one. The path of
/// the old one, if there was one.
Result<std::optional<fs::path>> put_in_place(const fs::path& unpacked, const fs::path& file) {
  std::error_code failure;
  std::optional<fs::path> aside;
  if (fs::exists(file, failure)) {
    aside = with(file, ".before-" + snapshot_name(system_now()).substr(11, 20));
    if (auto done = take_log_in(file, *aside); !done) return std::unexpected(std::move(done.error()));
    fs::create_hard_link(file, *aside, failure);
    if (failure)
      return fail(ErrorCode::kStoreUnavailable, "cannot keep " + file.string() + " aside: " + failure.message());
  } else if (auto done = move(with(file, "-wal"), with(file, "-wal.stray")); !done) {
    return std::unexpected(std::move(done.error()));
  }
  if (auto done = move(unpacked, file); !done) return std::unexpected(std::move(done.error()));
  if (auto done = sync_folder(file.parent_path()); !done) return std::unexpected(std::move(done.error()));
  return aside;
}

Result<Restored> restore_sqlite(const RestoreOptions& options, const Manifest& manifest, Work& work) {
  std::error_code failure;
  fs::create_directories(options.place.directory, failure);
  if (failure)
    return fail(ErrorCode::kConfiguration,
                "cannot make " + options.place.directory.string() + ": " + failure.message());
  auto lock = sqlite::DirectoryLock::take(options.place.directory);
  if (!lock) return std::unexpected(std::move(lock.error()));
  const auto file = options.place.file();
  if (fs::exists(file, failure) && !options.replace)
    return fail(ErrorCode::kConflict, "there is a store in " + options.place.directory.string() +
                                          "; --replace puts the snapshot in its place and sets it aside");
  const auto unpacked = options.place.directory / kUnpacked;
  const Scratch wal(with(unpacked, "-wal"), work), shm(with(unpacked, "-shm"), work), pages(unpacked, work);
  auto checked = unpack(options.file, manifest, unpacked, work);
  if (!checked) return std::unexpected(std::move(checked.error()));
  auto before = put_in_place(unpacked, file);
  if (!before) return std::unexpected(std::move(before.error()));
  return Restored{std::move(*checked), std::move(*before)};
}

}  // namespace

Result<Restored> restore(const RestoreOptions& options) {
  Work work(options.progress);
  auto manifest = check_file(options.file, work);
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  if (!options.place.is_postgres()) return restore_sqlite(options, *manifest, work);
  auto checked = restore_postgres(options, *manifest, work);
  if (!checked) return std::unexpected(std::move(checked.error()));
  return Restored{std::move(*checked), {}};
}

}  // namespace detection::store::backup
