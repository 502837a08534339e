#pragma once
// Child processes by argument vector, never through a shell: git, kubectl, the renderer. A child ends with slotctl,
// also when that is killed.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "detection/error.hpp"

namespace detection::slotctl {

struct ChildOutput {
  int exit_code = 0;  ///< 128 + the signal's number where one ended it
  std::string out{}, err{};
  /// The last lines of what it said, on one line, for a message.
  [[nodiscard]] std::string words() const;
};

struct ChildOptions {
  std::filesystem::path directory{};       ///< empty: that of slotctl
  std::vector<std::string> environment{};  ///< NAME=VALUE over that of slotctl
  std::chrono::milliseconds most = std::chrono::seconds(60);
};

/// Runs to its end. An error: it could not be started, or was killed after `most`. What it prints beyond 16 MiB is cut.
[[nodiscard]] Result<ChildOutput> run_child(std::span<const std::string> command, const ChildOptions& options);

/// A child that goes on beside slotctl, its output in a file.
class Companion {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Companion>> start(std::span<const std::string> command,
                                                                const std::filesystem::path& output);
  ~Companion();  ///< SIGTERM, then SIGKILL
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;
  [[nodiscard]] bool running();
  [[nodiscard]] std::string output() const;  ///< what it has printed so far

 private:
  Companion(pid_t pid, std::filesystem::path output) : pid_(pid), output_(std::move(output)) {}
  pid_t pid_;
  std::filesystem::path output_;
};

/// A folder of its own below the system's temporary folder, removed with what is in it. Those that killed runs have
/// left are removed by the next one.
class TemporaryFolder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TemporaryFolder>> make();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

[[nodiscard]] std::string read_text(const std::filesystem::path& path);  ///< empty where there is none

}  // namespace detection::slotctl
