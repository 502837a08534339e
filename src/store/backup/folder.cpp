#include "store/backup/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "store/backup/backup.hpp"
#include "store/backup/file.hpp"

namespace detection::store::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBefore = "detections-", kAfter = ".snapshot";

template <class Take>
void each_name(const fs::path& folder, Take take) {
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure))
    take(at->path(), at->path().filename().string());
}

/// To nothing, piece by piece. Not what somebody keeps under another name, too.
void shrink(const fs::path& path, Work& work) {
  constexpr std::int64_t kPieceBytes = 1 << 20;
  std::error_code failure;
  if (!fs::is_regular_file(fs::symlink_status(path, failure)) || fs::hard_link_count(path, failure) != 1) return;
  const auto file = File::open(path, O_WRONLY | O_NOFOLLOW);
  auto left = file ? file->size().value_or(0) : 0;
  while (left > kPieceBytes) {
    left -= kPieceBytes;
    if (!file->truncate(left)) return;
    work.breathe();
  }
}

}  // namespace

std::string snapshot_name(UtcMicros made) {
  auto time = format_rfc3339_ms(made);  // 2026-11-23T19:04:05.123Z
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return std::string(kBefore) + time + std::string(kAfter);
}

std::optional<UtcMicros> made_at(std::string_view name) {
  constexpr std::size_t kTime = 20;  // 20261123T190405.123Z
  if (name.size() != kBefore.size() + kTime + kAfter.size() || !name.starts_with(kBefore) || !name.ends_with(kAfter))
    return std::nullopt;
  std::string time(name.substr(kBefore.size(), kTime));
  for (const auto& [at, mark] : {std::pair<std::size_t, char>{13, ':'}, {11, ':'}, {6, '-'}, {4, '-'}})
    time.insert(at, 1, mark);
  const auto parsed = parse_rfc3339(time);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

Result<FolderLock> FolderLock::take(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure)
    return fail(ErrorCode::kConfiguration, "cannot make the folder " + folder.string() + ": " + failure.message());
  const auto file = folder / ".backup.lock";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0)
    return fail(errno == ENOSPC ? ErrorCode::kCapacityExceeded : ErrorCode::kConfiguration,
                "cannot write to " + folder.string() + ": " + std::generic_category().message(errno));
  FolderLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::kConflict, "another backup, or its check, is at work in " + folder.string());
  return lock;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Scratch::clear() const noexcept {
  std::error_code ignored;
  if (work_.gives_way()) {
    shrink(path_, work_);
    each_name(path_, [this](const fs::path& inside, std::string_view) { shrink(inside, work_); });
  }
  fs::remove_all(path_, ignored);
}

void remove_unfinished(const fs::path& folder, Work& work) {
  each_name(folder, [&work](const fs::path& path, std::string_view name) {
    if (name.starts_with(kBefore) && name.find(kUnfinished) != std::string_view::npos) const Scratch left(path, work);
  });
}

std::vector<fs::path> remove_old(const fs::path& folder, UtcMicros before, const fs::path& newest) {
  std::vector<fs::path> removed;
  for (const auto& path : snapshots_in(folder)) {
    const auto made = made_at(path.filename().string());
    std::error_code failure;
    if (path.filename() == newest.filename() || !made || *made >= before) continue;
    if (fs::remove(path, failure)) removed.push_back(path);
  }
  return removed;
}

std::vector<fs::path> snapshots_in(const fs::path& folder) {
  std::vector<fs::path> found;
  each_name(folder, [&](const fs::path& path, std::string_view name) {
    if (made_at(name)) found.push_back(path);
  });
  std::ranges::sort(found);
  return found;
}

}  // namespace detection::store::backup
