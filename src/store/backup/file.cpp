#include "store/backup/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace detection::store::backup {
namespace {

std::unexpected<Error> failed(const std::string& what, const std::filesystem::path& path) {
  const int why = errno;
  const bool no_room = why == ENOSPC || why == EDQUOT || why == EFBIG;
  const auto code = no_room         ? ErrorCode::kCapacityExceeded
                    : why == ENOENT ? ErrorCode::kNotFound
                                    : ErrorCode::kStoreUnavailable;
  return fail(code, what + " " + path.string() + ": " + std::generic_category().message(why));
}

}  // namespace

Result<File> File::open(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (descriptor < 0) return failed((flags & O_EXCL) != 0 ? "cannot make" : "cannot open", path);
  return File(path, descriptor);
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::int64_t> File::size() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return failed("cannot read", path_);
  return status.st_size;
}

Result<void> File::read(std::int64_t at, char* to, std::size_t size) const {
  while (size > 0) {
    const auto got = ::pread(descriptor_, to, size, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot read", path_);
    if (got == 0) return fail(ErrorCode::kValidationFailed, path_.string() + " is no good snapshot: it ends too early");
    to += got;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

Result<void> File::write(std::int64_t at, std::string_view bytes) const {
  while (!bytes.empty()) {
    const auto put = ::pwrite(descriptor_, bytes.data(), bytes.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed("cannot write", path_);
    at += put;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> File::write_out(std::int64_t from, std::int64_t to) const {
  constexpr unsigned kWhole = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  // Where a file system has none of it, sync() does it all. What is reported here, sync() does not report again.
  if (::sync_file_range(descriptor_, from, to - from, kWhole) != 0 && errno != EINVAL && errno != ENOSYS)
    return failed("cannot write", path_);
  return {};
}

Result<void> File::truncate(std::int64_t size) const {
  if (::ftruncate(descriptor_, size) != 0) return failed("cannot truncate", path_);
  return {};
}

Result<void> File::sync() const {
  if (::fsync(descriptor_) != 0) return failed("cannot write", path_);
  (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
  return {};
}

}  // namespace detection::store::backup
