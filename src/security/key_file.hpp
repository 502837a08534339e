#pragma once
// One key file, looked at again and again. What is good is taken at once when it is another file (a rename, a swapped
// link); a file that was written in place is taken once it has held still, because half of an HMAC key may look like a
// whole one. What is bad never takes the place of what was good. Private to security/.

#include <sys/types.h>

#include <chrono>
#include <compare>
#include <filesystem>
#include <optional>

#include "security/key.hpp"

namespace detection::security {

using SteadyTime = std::chrono::steady_clock::time_point;

/// What tells that a file or a folder is another one now, or was written to.
struct FileMark {
  struct Identity {
    dev_t device = 0;
    ino_t number = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  Identity identity{};
  off_t size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;  ///< since 1970
  friend bool operator==(const FileMark&, const FileMark&) = default;

  /// All 0 when there is nothing.
  [[nodiscard]] static FileMark of(const std::filesystem::path& path);
};

class KeyFile {
 public:
  /// As long a file must hold still.
  static constexpr std::chrono::milliseconds kSettled{750};

  KeyFile(std::filesystem::path path, bool hmac_only) : path_(std::move(path)), hmac_only_(hmac_only) {}

  /// Reads it when it may have changed. True when key() is another one now, or gone with its file.
  bool look(SteadyTime now);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] const KeyPointer& key() const noexcept { return key_; }  ///< the last good one
  [[nodiscard]] bool gone() const noexcept { return gone_; }
  /// Why what stands there cannot be used, by name of the file; nothing while it may still be being written.
  [[nodiscard]] std::optional<Error> problem(SteadyTime now) const;
  /// The same without waiting.
  [[nodiscard]] const std::optional<Error>& problem() const noexcept { return problem_; }
  [[nodiscard]] SteadyTime taken() const noexcept { return taken_; }
  [[nodiscard]] double modified_s() const noexcept { return modified_s_; }  ///< of the one in use, since 1970

 private:
  bool lose();
  bool bad(std::string reason, SteadyTime now);
  bool consider(std::string_view text, const FileMark& mark, SteadyTime now);

  std::filesystem::path path_;
  bool hmac_only_;
  KeyPointer key_;
  Digest content_{};               ///< of the text in use
  FileMark::Identity identity_{};  ///< of the file in use
  SteadyTime taken_{};
  double modified_s_ = 0;
  bool gone_ = false;

  std::optional<FileMark> mark_{};  ///< as last seen
  SteadyTime mark_since_{};
  bool read_for_good_ = false;  ///< read when it had held still: no need to read again
  Digest seen_{};               ///< of the text as last read
  SteadyTime seen_since_{};
  std::optional<Error> problem_{};
  SteadyTime problem_since_{};
};

}  // namespace detection::security
