#include "store/backup/backup.hpp"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <system_error>

#include "store/backup/breathing.hpp"
#include "store/backup/check.hpp"
#include "store/backup/content.hpp"
#include "store/backup/file.hpp"
#include "store/backup/folder.hpp"
#include "store/backup/snapshot_database.hpp"
#include "store/backup/snapshot_file.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

namespace fs = std::filesystem;

/// About how many rows there are, at no cost.
std::int64_t estimated_rows(sql::Database& db, const std::vector<ChainEnd>& chains) {
  const auto highest = db.integer("SELECT max(seq) FROM detection");
  std::int64_t rows = highest ? highest->value_or(0) : 0;
  for (const auto& chain : chains) rows += chain.record;
  return rows;
}

/// What is read in place of a SQLite place, as fast as it can be made: the place's log grows for as long as the place
/// is read, and each commit takes longer with it.
Result<sql::Database> copy_of(const sql::Database& place, const fs::path& to, Work& work) {
  // Before SQLite makes it readable for everybody.
  auto file = File::open(to, O_RDWR | O_CREAT | O_EXCL);
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto done = sqlite::copy_database(place, to); !done) return std::unexpected(std::move(done.error()));
  auto size = file->size();
  if (!size) return std::unexpected(std::move(size.error()));
  // The kernel would bring all of it to the disk at once.
  for (std::int64_t at = 0; work.gives_way() && at < *size; at += File::kChunkBytes) {
    if (auto done = file->write_out(at, std::min(at + File::kChunkBytes, *size)); !done)
      return std::unexpected(std::move(done.error()));
    work.breathe();
  }
  return sqlite::open_database(to, sqlite::Access::kReadOnly);
}

/// All rows of one moment of the place, as the pages of a snapshot; they are not sealed yet.
Result<Manifest> write_pages(const MakeOptions& options, const fs::path& file, Work& work) {
  auto source = open_to_read(options.place);
  if (!source) return std::unexpected(std::move(source.error()));
  const Scratch copy(fs::path(file.string() + "-copy"), work);
  if (!options.place.is_postgres()) {
    source = copy_of(*source, copy.path(), work);
    if (!source) return std::unexpected(std::move(source.error()));
  }
  auto moment = sql::Transaction::begin(*source, sql::TransactionKind::kRead);
  if (!moment) return std::unexpected(std::move(moment.error()));
  auto chains = chain_ends(*source);
  if (!chains) return std::unexpected(std::move(chains.error()));
  auto pages = SnapshotDatabase::create(file, work);
  if (!pages) return std::unexpected(std::move(pages.error()));
  auto parts = read_parts(
      *source, tables(), [&](const Table& table, Row row) { return pages->insert(table, row); }, "copying",
      estimated_rows(*source, *chains), work);
  if (!parts) return std::unexpected(std::move(parts.error()));
  // Not to the end of the function: what follows takes long, and PostgreSQL keeps what was deleted for its readers.
  if (auto done = moment->commit(); !done) return std::unexpected(std::move(done.error()));
  if (auto done = pages->finish(); !done) return std::unexpected(std::move(done.error()));
  return Manifest{.made = options.clock(),
                  .engine = options.place.is_postgres() ? "postgres" : "sqlite",
                  .schema_version = sqlite::schema_version(),
                  .parts = std::move(*parts),
                  .chains = std::move(*chains)};
}

/// Under the folder's lock.
Result<Checked> restore_into(const fs::path& file, const fs::path& folder, Work& work) {
  auto manifest = check_file(file, work);
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  const Scratch scratch(folder / (snapshot_name(manifest->made) + std::string(kUnfinished) + "-restored"), work);
  std::error_code failure;
  fs::create_directories(scratch.path(), failure);
  if (failure)
    return fail(failure == std::errc::no_space_on_device ? ErrorCode::kCapacityExceeded : ErrorCode::kStoreUnavailable,
                "cannot make " + scratch.path().string() + ": " + failure.message());
  return unpack(file, *manifest, scratch.path() / "detections.db", work);
}

}  // namespace

Result<Made> make(const MakeOptions& options) {
  auto lock = FolderLock::take(options.folder);
  if (!lock) return std::unexpected(std::move(lock.error()));
  Work work(options.progress, options.share);
  remove_unfinished(options.folder, work);
  const auto begun = options.clock();
  const auto name = snapshot_name(begun);
  const Scratch partial(options.folder / (name + std::string(kUnfinished)), work);
  auto manifest = write_pages(options, partial.path(), work);
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  if (auto sealed = seal(partial.path(), std::move(*manifest), work); !sealed)
    return std::unexpected(std::move(sealed.error()));
  auto checked = restore_into(partial.path(), options.folder, work);
  if (!checked) return std::unexpected(std::move(checked.error()));
  Made made{options.folder / name, std::move(*checked), {}};
  std::error_code failure;
  fs::rename(partial.path(), made.file, failure);
  if (failure)
    return fail(ErrorCode::kStoreUnavailable, "cannot name " + made.file.string() + ": " + failure.message());
  if (auto done = sync_folder(options.folder); !done) return std::unexpected(std::move(done.error()));
  const auto age = std::chrono::duration_cast<std::chrono::microseconds>(options.keep);
  made.removed = remove_old(options.folder, begun + -age, made.file);
  return made;
}

Result<Checked> verify(const fs::path& file, const Progress& progress, double share) {
  Work work(progress, share);
  auto manifest = check_file(file, work);
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  auto db = open_pages(file, *manifest);
  if (!db) return std::unexpected(std::move(db.error()));
  if (auto done = compare(*db, *manifest, "comparing", work); !done) return std::unexpected(std::move(done.error()));
  Checked checked{std::move(*manifest), {}};
  if (checked.manifest.schema_version < sqlite::schema_version()) return checked;
  const Breathing breathing(*db, work);
  auto audit = check_audit(*db);
  if (!audit) return std::unexpected(std::move(audit.error()));
  checked.audit = std::move(*audit);
  return checked;
}

Result<Checked> rehearse(const fs::path& file, const fs::path& scratch, const Progress& progress, double share) {
  // A backup takes away what it finds unfinished in its folder.
  auto lock = FolderLock::take(scratch);
  if (!lock) return std::unexpected(std::move(lock.error()));
  Work work(progress, share);
  return restore_into(file, scratch, work);
}

}  // namespace detection::store::backup
