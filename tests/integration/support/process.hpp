#pragma once
// Child processes, temporary folders and ports for tests that run the real binary. Test-only.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace detection::integration {

/// A folder of its own in another, by default the system's temporary one; removed with everything in it.
class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& in = std::filesystem::temp_directory_path());
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// A TCP port of 127.0.0.1 that was free just now and lies below the range from which the kernel takes the source
/// ports of clients: a server that is down for a moment finds it free again.
[[nodiscard]] std::uint16_t free_port();

/// How a child ended.
struct Exit {
  bool signalled = false;
  int code = 0;  ///< exit code, or the signal's number
};

/// A child with stdout and stderr in files (appended to). It dies with the THREAD that started it (the kernel's parent
/// death signal): start it on a thread that outlives it. The destructor kills it with SIGKILL.
class Child {
 public:
  /// `output` is a path without its ending: .out and .err are added.
  Child(const std::vector<std::string>& argv, const std::filesystem::path& output);
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool running();
  void signal(int number) const;
  /// Nothing when it still runs after `most`.
  [[nodiscard]] std::optional<Exit> wait(std::chrono::milliseconds most);
  /// SIGKILL, and waits for the end.
  void kill();

 private:
  pid_t pid_ = -1;
  std::optional<Exit> exit_;
};

struct Output {
  Exit exit;
  std::string out, err;
};
/// Runs a command to its end; one that does not end within `most` is killed and shows as signalled.
[[nodiscard]] Output run(const std::vector<std::string>& argv,
                         std::chrono::milliseconds most = std::chrono::seconds(30));

[[nodiscard]] std::string read_file(const std::filesystem::path& path);  ///< empty when there is none
void write_file(const std::filesystem::path& path, std::string_view text);
/// A positive number from the environment.
[[nodiscard]] std::uint64_t env_number(const char* name, std::uint64_t otherwise);
/// Resident memory in bytes; 0 when the process is gone.
[[nodiscard]] std::uint64_t resident_bytes(pid_t pid);

/// Polls every 5 ms until `condition` is true (true) or `most` has passed (false).
template <class Condition>
[[nodiscard]] bool wait_until(std::chrono::milliseconds most, Condition condition);

void sleep_ms(int milliseconds);

template <class Condition>
bool wait_until(std::chrono::milliseconds most, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    sleep_ms(5);
  }
  return true;
}

}  // namespace detection::integration
