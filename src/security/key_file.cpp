#include "security/key_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace detection::security {
namespace {

constexpr std::size_t kFileBytesMost = 16 * 1024;

std::int64_t nanoseconds(const timespec& t) {
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

FileMark mark_of(const struct stat& status) {
  return {{status.st_dev, status.st_ino}, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

std::string reason_of(int error) {
  return "cannot be read: " + std::generic_category().message(error);
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

/// Not blocking: a pipe that somebody put there must not hold up the service. Once more when it is not there: the walk
/// through a link may have met a folder that was swapped and removed under it (Kubernetes' ..data).
int open_file(const std::filesystem::path& path) {
  int descriptor = -1;
  for (int tries = 0; tries < 2; ++tries) {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor >= 0 || errno != ENOENT) break;
  }
  return descriptor;
}

/// Up to one byte more than a file may have. 0 or the error.
int read_all(int descriptor, std::string& text) {
  text.assign(kFileBytesMost + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const auto count = ::read(descriptor, text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return 0;
}

}  // namespace

FileMark FileMark::of(const std::filesystem::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? mark_of(status) : FileMark{};
}

bool KeyFile::look(SteadyTime now) {
  gone_ = false;
  const Descriptor file(open_file(path_));
  if (file.number() < 0) return errno == ENOENT || errno == ENOTDIR ? lose() : bad(reason_of(errno), now);
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) return bad(reason_of(errno), now);
  if (!S_ISREG(status.st_mode)) return bad("is not a regular file", now);
  const auto mark = mark_of(status);
  if (mark_ != mark) {
    mark_ = mark;
    mark_since_ = now;
    read_for_good_ = false;
  }
  if (read_for_good_) return false;
  read_for_good_ = now - mark_since_ >= kSettled;

  std::string text;
  const Cleansed cleansed(text);
  if (const int error = read_all(file.number(), text); error != 0) return bad(reason_of(error), now);
  return consider(text, mark, now);
}

bool KeyFile::consider(std::string_view text, const FileMark& mark, SteadyTime now) {
  const auto content = sha256(text);
  if (content != seen_) {
    seen_ = content;
    seen_since_ = now;
  }
  if (key_ && content == content_) {
    identity_ = mark.identity;
    problem_.reset();
    return false;
  }
  auto key = text.size() > kFileBytesMost ? fail(ErrorCode::kConfiguration, "is too large for a key")
             : hmac_only_                 ? Key::from_hmac_text(text)
                                          : Key::from_text(text);
  if (!key) {
    const bool again = read_for_good_;
    bad(key.error().detail, now);
    read_for_good_ = again;  // what holds still and is bad stays bad
    return false;
  }
  problem_.reset();
  if (key_ && mark.identity == identity_ && now - seen_since_ < kSettled) {
    read_for_good_ = false;
    return false;
  }
  key_ = std::move(*key);
  content_ = content;
  identity_ = mark.identity;
  taken_ = now;
  modified_s_ = static_cast<double>(mark.modified_ns) / 1e9;
  return true;
}

bool KeyFile::lose() {
  gone_ = true;
  const bool had = key_ != nullptr;
  key_.reset();
  mark_.reset();
  read_for_good_ = false;
  problem_.reset();
  return had;
}

bool KeyFile::bad(std::string reason, SteadyTime now) {
  auto detail = path_.string() + ": " + reason;
  if (!problem_ || problem_->detail != detail) problem_since_ = now;
  problem_ = Error{ErrorCode::kConfiguration, std::move(detail)};
  read_for_good_ = false;
  return false;
}

std::optional<Error> KeyFile::problem(SteadyTime now) const {
  return problem_ && now - problem_since_ >= kSettled ? problem_ : std::nullopt;
}

}  // namespace detection::security
