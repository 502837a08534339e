#pragma once
// Backup: from either engine, beside those that serve, into one snapshot file; and back into either engine. See
// snapshot_file.hpp for the file, docs/backup.md for its use. Blocking; of several threads or processes each needs its
// own folder.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/backup/manifest.hpp"
#include "store/backup/place.hpp"
#include "store/backup/work.hpp"
#include "store/store.hpp"

namespace detection::store::backup {

struct Checked {
  Manifest manifest;
  /// Of the chains in it: the file may be good and they not. None: verify() of a snapshot of an older schema.
  std::optional<AuditVerdict> audit{};
};

/// A snapshot of the place, checked by a restore into scratch and a full comparison before it gets its name:
/// `detections-<UTC>.snapshot` in `folder`, which is made. A process that ends before leaves only a file with another
/// ending, which the next one takes away.
struct Made {
  std::filesystem::path file;
  Checked checked;
  std::vector<std::filesystem::path> removed;  ///< older ones that were past `keep`
};
struct MakeOptions {
  Place place;
  std::filesystem::path folder;
  std::chrono::milliseconds keep = std::chrono::days{30};  ///< of older ones; the newest always stays
  UtcMicros (*clock)() noexcept = system_now;
  Progress progress{};
  double share = 1;  ///< of the time that it works (Work); less where others serve from the same disk
};
/// kConflict: another backup writes to the folder. kCapacityExceeded: it is full. kValidationFailed: what was written
/// is not what was read.
[[nodiscard]] Result<Made> make(const MakeOptions& options);

/// Reads the whole file and holds every table and every audit chain in it against its manifest. kValidationFailed: it
/// is not what was written. `share` is as in MakeOptions.
[[nodiscard]] Result<Checked> verify(const std::filesystem::path& file, const Progress& progress, double share = 1);
/// The same, and a restore into a scratch folder within `scratch` with a full comparison. kConflict: a backup, or
/// another of these, is at work there.
[[nodiscard]] Result<Checked> rehearse(const std::filesystem::path& file, const std::filesystem::path& scratch,
                                       const Progress& progress, double share = 1);

/// Puts the record of a snapshot in the place: all of it or nothing, checked before and compared after. What the
/// snapshot knew as delivered is not delivered again.
struct RestoreOptions {
  std::filesystem::path file;
  Place place;
  bool replace = false;  ///< else a place that holds anything is refused (kConflict)
  Progress progress{};
};
struct Restored {
  Checked checked;
  /// SQLite: where the store is that was there before.
  std::optional<std::filesystem::path> before{};
};
/// kConflict: the place holds something, or is being served.
[[nodiscard]] Result<Restored> restore(const RestoreOptions& options);

/// The snapshots of a folder by their names, oldest first.
[[nodiscard]] std::vector<std::filesystem::path> snapshots_in(const std::filesystem::path& folder);

}  // namespace detection::store::backup
