#include "tak/credentials_folder.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <vector>

namespace detection::tak {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kOtherFilesMost = 64;

std::unexpected<Error> wrong(std::string why) {
  return fail(ErrorCode::kConfiguration, std::move(why));
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

/// A folder that goes again, unless it was put in its place.
class Draft {
 public:
  explicit Draft(const fs::path& beside)
      : path_((beside.parent_path() / ("." + beside.filename().string() + ".XXXXXX")).string()) {
    good_ = ::mkdtemp(path_.data()) != nullptr;
  }
  ~Draft() {
    std::error_code ignored;
    if (good_) fs::remove_all(path_, ignored);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool good_ = false;
};

/// 0 or the error.
int write_file(const std::string& path, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return errno;
  int error = 0;
  while (!text.empty() && error == 0) {
    const auto count = ::write(descriptor, text.data(), text.size());
    if (count >= 0) text.remove_prefix(static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) error = errno;
  }
  if (error == 0 && ::fsync(descriptor) != 0) error = errno;
  if (::close(descriptor) != 0 && error == 0) error = errno;
  return error;
}

/// To the owner of the folder, where it is for us to give.
bool give(const std::string& path, const struct stat& status) {
  return ::chown(path.c_str(), status.st_uid, status.st_gid) == 0 || ::geteuid() != 0;
}

void sync_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  (void)::fsync(descriptor);
  ::close(descriptor);
}

/// What is in `from` and not in `files`, by hard links: owner, mode and contents are the same file's.
Result<void> keep_others(const fs::path& from, const std::string& to, const CredentialFiles& files) {
  std::error_code error;
  std::size_t count = 0;
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (files.contains(name)) continue;
    if (++count > kOtherFilesMost) return wrong(from.string() + " holds many other files: choose a folder of its own");
    if (!it->is_regular_file(error) || it->is_symlink(error))
      return wrong(
          from.string() + " holds " + name +
          ", which is no plain file (is it a mounted secret?): choose another folder for --output, and make the "
          "secret from it");
    fs::create_hard_link(it->path(), fs::path(to) / name, error);
    if (error) return wrong(it->path().string() + " cannot be kept: " + error.message());
  }
  if (error) return wrong(from.string() + " cannot be read: " + error.message());
  return {};
}

}  // namespace

Result<void> write_credentials_folder(const fs::path& folder, const CredentialFiles& files) {
  std::error_code error;
  auto target = fs::weakly_canonical(folder, error);
  if (error) return wrong(folder.string() + ": " + error.message());
  if (!target.has_filename()) target = target.parent_path();
  fs::create_directories(target.parent_path(), error);
  struct stat status{};
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && !S_ISDIR(status.st_mode)) return wrong(target.string() + " is no folder");

  const Draft draft(target);
  if (!draft.good())
    return wrong(
        "no folder can be made beside " + target.string() + ": " + reason_of(errno) +
        ". The files are swapped with their folder, so the one above must be writable: choose a folder below " +
        target.string());
  if (exists) {
    if (auto kept = keep_others(target, draft.path(), files); !kept) return kept;
    (void)::chmod(draft.path().c_str(), status.st_mode & 07777);
    if (!give(draft.path(), status)) return wrong(target.string() + ": its owner cannot be kept: " + reason_of(errno));
  }
  for (const auto& [name, text] : files) {
    if (text.empty()) continue;
    const auto path = draft.path() + "/" + name;
    if (const int failed = write_file(path, text); failed != 0) return wrong(path + ": " + reason_of(failed));
    if (exists && !give(path, status)) return wrong(path + ": its owner cannot be set: " + reason_of(errno));
  }
  sync_folder(draft.path());
  const unsigned flags = exists ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, draft.path().c_str(), AT_FDCWD, target.c_str(), flags) != 0) {
    const int code = errno;
    return wrong(target.string() + " cannot be swapped: " + reason_of(code) +
                 (code == EBUSY ? ". It is a mount point: choose a folder below it" : ""));
  }
  sync_folder(target.parent_path().string());
  return {};
}

}  // namespace detection::tak
