#include "slotctl/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

namespace detection::slotctl {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kOutputMost = 16u << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& that) noexcept : fd_(std::exchange(that.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& that) noexcept {
    std::swap(fd_, that.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// Prepared before the fork: between fork and exec nothing is allocated.
struct Prepared {
  std::vector<char*> arguments, environment;
  std::vector<std::string> variables;
  std::string program;
};

std::string value_of(const std::vector<std::string>& variables, std::string_view name) {
  for (const auto& one : variables)
    if (one.starts_with(name) && one.size() > name.size() && one[name.size()] == '=')
      return one.substr(name.size() + 1);
  return {};
}

std::string find_program(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return name;
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find(':', begin), path.size());
    auto candidate = path.substr(begin, end - begin) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return {};
}

Result<Prepared> prepare(std::span<const std::string> command, const std::vector<std::string>& over) {
  Prepared p;
  p.variables = over;
  for (char** one = ::environ; *one != nullptr; ++one) {
    const std::string_view variable(*one);
    const auto name = variable.substr(0, variable.find('='));
    if (value_of(over, name).empty()) p.variables.emplace_back(variable);
  }
  p.program = find_program(command.front(), value_of(p.variables, "PATH"));
  if (p.program.empty())
    return fail(ErrorCode::kConfiguration, command.front() + " is not there: install it, or put it on PATH");
  for (const auto& one : command) p.arguments.push_back(const_cast<char*>(one.c_str()));  // NOLINT: execve's signature
  p.arguments.push_back(nullptr);
  for (auto& one : p.variables) p.environment.push_back(one.data());
  p.environment.push_back(nullptr);
  return p;
}

/// The child after the fork; only async-signal-safe calls.
[[noreturn]] void become(const Prepared& p, const char* directory, int out, int err, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing < 0 || ::dup2(nothing, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(127);
  if (*directory != '\0' && ::chdir(directory) != 0) ::_exit(127);
  ::execve(p.program.c_str(), p.arguments.data(), p.environment.data());
  ::_exit(127);
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Reads both pipes to their ends; false when the time was over before.
bool drain(std::array<Descriptor, 2>& pipes, std::array<std::string*, 2> texts, steady_clock::time_point end) {
  std::array<char, 1 << 16> buffer{};
  while (pipes[0].get() >= 0 || pipes[1].get() >= 0) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> polled{{{pipes[0].get(), POLLIN, 0}, {pipes[1].get(), POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(std::min<long>(left, 1000))) < 0 && errno != EINTR)
      return false;
    for (std::size_t i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      const auto size = ::read(pipes[i].get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) {
        pipes[i].close();
        continue;
      }
      if (texts[i]->size() < kOutputMost) texts[i]->append(buffer.data(), static_cast<std::size_t>(size));
    }
  }
  return true;
}

/// Waits for the end of the child; false when the time was over before.
bool reap(pid_t pid, int& status, steady_clock::time_point end) {
  for (;;) {
    const auto done = ::waitpid(pid, &status, WNOHANG);
    if (done == pid) return true;
    if (done < 0 && errno != EINTR) return false;
    if (steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
}

void kill_group(pid_t pid) {
  int status = 0;
  ::kill(-pid, SIGKILL);
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string ChildOutput::words() const {
  constexpr std::size_t kMost = 600;
  auto text = err.find_first_not_of(" \t\r\n") == std::string::npos ? out : err;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) text.pop_back();
  if (text.size() > kMost) text = "..." + text.substr(text.size() - kMost);
  std::ranges::replace(text, '\n', ' ');
  return text.empty() ? "exit code " + std::to_string(exit_code) : text;
}

Result<ChildOutput> run_child(std::span<const std::string> command, const ChildOptions& options) {
  const auto prepared = prepare(command, options.environment);
  if (!prepared) return std::unexpected(prepared.error());
  std::array<std::array<int, 2>, 2> raw{};
  if (::pipe2(raw[0].data(), O_CLOEXEC) != 0) return fail(ErrorCode::kInternal, "no pipe: " + reason(errno));
  std::array<Descriptor, 2> reading{Descriptor(raw[0][0]), Descriptor()}, writing{Descriptor(raw[0][1]), Descriptor()};
  if (::pipe2(raw[1].data(), O_CLOEXEC) != 0) return fail(ErrorCode::kInternal, "no pipe: " + reason(errno));
  reading[1] = Descriptor(raw[1][0]);
  writing[1] = Descriptor(raw[1][1]);
  const auto directory = options.directory.string();
  const auto end = steady_clock::now() + options.most;
  const auto parent = ::getpid();
  const auto pid = ::fork();
  if (pid < 0) return fail(ErrorCode::kInternal, "no process: " + reason(errno));
  if (pid == 0) become(*prepared, directory.c_str(), writing[0].get(), writing[1].get(), parent);
  for (auto& one : writing) one.close();
  ChildOutput output;
  int status = 0;
  if (!drain(reading, {&output.out, &output.err}, end) || !reap(pid, status, end)) {
    kill_group(pid);
    return fail(ErrorCode::kTimeout, command.front() + (command.size() > 1 ? " " + command[1] : "") +
                                         " did not end in " + std::to_string(options.most.count() / 1000) +
                                         " s and was stopped: " + output.words());
  }
  output.exit_code = exit_code_of(status);
  return output;
}

Result<std::unique_ptr<Companion>> Companion::start(std::span<const std::string> command, const fs::path& output) {
  const auto prepared = prepare(command, {});
  if (!prepared) return std::unexpected(prepared.error());
  const Descriptor file(::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (file.get() < 0) return fail(ErrorCode::kInternal, output.string() + ": " + reason(errno));
  const auto parent = ::getpid();
  const auto pid = ::fork();
  if (pid < 0) return fail(ErrorCode::kInternal, "no process: " + reason(errno));
  if (pid == 0) become(*prepared, "", file.get(), file.get(), parent);
  return std::unique_ptr<Companion>(new Companion(pid, output));
}

Companion::~Companion() {
  if (pid_ <= 0) return;
  int status = 0;
  ::kill(pid_, SIGTERM);
  if (!reap(pid_, status, steady_clock::now() + std::chrono::seconds(2))) kill_group(pid_);
}

bool Companion::running() {
  int status = 0;
  if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

std::string Companion::output() const {
  return read_text(output_);
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Result<std::unique_ptr<TemporaryFolder>> TemporaryFolder::make() {
  std::error_code error;
  const auto parent = fs::temp_directory_path(error);
  if (error) return fail(ErrorCode::kConfiguration, "no temporary folder: " + error.message());
  const std::string mine = "slotctl-" + std::to_string(::getuid()) + "-";
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(mine)) continue;
    long process = 0;
    std::from_chars(name.data() + mine.size(), name.data() + name.size(), process);
    if (process > 0 && ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH)
      fs::remove_all(entry.path(), error);
  }
  auto name = (parent / (mine + std::to_string(::getpid()) + "-XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr)
    return fail(ErrorCode::kConfiguration, "no temporary folder in " + parent.string() + ": " + reason(errno));
  return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(name));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace detection::slotctl
