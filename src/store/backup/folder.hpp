#pragma once
// The folder of the snapshots: names, one backup at a time, what broke off, what is too old.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "store/backup/work.hpp"

namespace detection::store::backup {

inline constexpr std::string_view kUnfinished = ".partial";

[[nodiscard]] std::string snapshot_name(UtcMicros made);
/// When the snapshot of that name was made; none: it is the name of something else.
[[nodiscard]] std::optional<UtcMicros> made_at(std::string_view name);

/// Ends with the process, however that ends.
class FolderLock {
 public:
  /// Makes the folder. kConflict: another process has it.
  [[nodiscard]] static Result<FolderLock> take(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  FolderLock& operator=(FolderLock&&) = delete;

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// Takes away what it holds when it ends; whatever is still in the way at the beginning, too. Large files of it go
/// piece by piece: the journal of their file system, and all who sync there, would wait for all of their blocks at
/// once.
class Scratch {
 public:
  Scratch(std::filesystem::path path, Work& work) : path_(std::move(path)), work_(work) { clear(); }
  ~Scratch() { clear(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void clear() const noexcept;
  std::filesystem::path path_;
  Work& work_;
};

/// What backups that broke off have left; under the lock.
void remove_unfinished(const std::filesystem::path& folder, Work& work);
/// Snapshots made before `before`, but never `newest`; under the lock. Those that went.
[[nodiscard]] std::vector<std::filesystem::path> remove_old(const std::filesystem::path& folder, UtcMicros before,
                                                            const std::filesystem::path& newest);

}  // namespace detection::store::backup
