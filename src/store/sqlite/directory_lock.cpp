#include "store/sqlite/directory_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace detection::store::sqlite {
namespace {

/// The pid in the file; a few digits, or nothing when its owner has not written it yet.
std::string owner(int file) {
  std::array<char, 24> text{};
  const auto size = ::pread(file, text.data(), text.size(), 0);
  std::string pid;
  for (ssize_t i = 0; i < size && text[static_cast<std::size_t>(i)] >= '0' && text[static_cast<std::size_t>(i)] <= '9';
       ++i)
    pid.push_back(text[static_cast<std::size_t>(i)]);
  return pid;
}

}  // namespace

DirectoryLock::~DirectoryLock() {
  if (file_ >= 0) ::close(file_);
}

Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
  const auto path = directory / "serve.lock";
  DirectoryLock lock;
  lock.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock.file_ < 0)
    return fail(ErrorCode::kStoreUnavailable,
                "cannot open " + path.string() + ": " + std::generic_category().message(errno));
  if (::flock(lock.file_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return fail(ErrorCode::kStoreUnavailable,
                  "cannot lock " + path.string() + ": " + std::generic_category().message(errno));
    const auto pid = owner(lock.file_);
    return fail(ErrorCode::kConfiguration, "the data directory " + directory.string() +
                                               " is in use by another process" +
                                               (pid.empty() ? "" : " (pid " + pid + ")"));
  }
  // For whoever is refused; the lock itself does not rest on it.
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.file_, 0) == 0) (void)!::pwrite(lock.file_, pid.data(), pid.size(), 0);
  return lock;
}

}  // namespace detection::store::sqlite
