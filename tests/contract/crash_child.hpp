#pragma once
// For crash tests: a program of this build whose output is read to the end when it is ended or killed, and what such a
// program says. (A test program with its own threads is no good place for fork.)

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace detection::store::testing {

class Child {
 public:
  /// `arguments`: the program, then its own.
  explicit Child(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    std::vector<char*> raw;
    for (auto& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const int failed = ::posix_spawn(&pid_, raw[0], &actions, nullptr, raw.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed != 0) std::abort();
    reader_ = std::thread([this, from = ends[0]] {
      char buffer[65536];
      for (ssize_t size = 0; (size = ::read(from, buffer, sizeof buffer)) > 0;)
        output_.append(buffer, static_cast<std::size_t>(size));
      ::close(from);
    });
  }
  void kill() { ::kill(pid_, SIGKILL); }
  /// Its exit status; -1 when it was killed.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    reader_.join();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] const std::string& output() const { return output_; }

 private:
  pid_t pid_ = 0;
  std::string output_;
  std::thread reader_;
};

// In such a program.

/// One write for each line, so that a killed process leaves whole lines.
inline void say(const std::string& line) {
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::_Exit(3);
}

[[noreturn]] inline void give_up(const std::string& why) {
  say("E " + why + "\n");
  std::_Exit(1);
}

}  // namespace detection::store::testing
