// What was acknowledged as spooled is there after a kill at any moment, and goes to the database once and in order.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "contract/store_support.hpp"
#include "store/spool/spool.hpp"
#include "store/sqlite/engine.hpp"
#include "test_paths.hpp"

namespace detection::store::spool {
namespace {

using testing::sample_id;
using testing::TemporaryDirectory;

/// The program of spool_crash_writer.cpp; its output is read to the end when it is ended or killed.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    arguments.insert(arguments.begin(), DETECTION_BINARY_ROOT "/bin/spool_crash_writer");
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

TEST(SpoolCrash, AKilledProcessLosesNothingThatItAcknowledged) {
  const TemporaryDirectory directory;
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  // By round: the acknowledged numbers, in the order of the answers.
  std::map<std::uint64_t, std::vector<std::uint64_t>> acknowledged;
  std::size_t spooled = 0, direct = 0;
  for (std::uint64_t round = 1; round <= 12; ++round) {
    // By turns with a database that never comes and with one that comes and goes.
    Child child({round % 2 != 0 ? "away" : "flaky", directory.path().string(), std::to_string(round)});
    // The second kind needs longer: what the first left goes to the database before its own.
    const auto most_us = round % 2 != 0 ? 150'000U : 700'000U;
    std::this_thread::sleep_for(std::chrono::microseconds(50'000 + random() % most_us));
    child.kill();
    ASSERT_EQ(child.wait(), -1) << child.output();
    std::istringstream lines(child.output());
    std::string kind;
    for (std::uint64_t n = 0; lines >> kind >> n;) {
      acknowledged[round].push_back(n);
      ++(kind == "S" ? spooled : direct);
    }
  }
  {
    auto store = open([&] { return sqlite::open({.directory = directory.path() / "engine"}); },
                      {.directory = directory.path() / "spool", .drain_time = std::chrono::seconds(60)});
    ASSERT_TRUE(store) << store.error().detail;
    (*store)->close();
    EXPECT_EQ((*store)->status().spool->items, 0);
    EXPECT_EQ((*store)->status().spool->conflicts, 0);
  }
  auto engine = sqlite::open({.directory = directory.path() / "engine"});
  ASSERT_TRUE(engine) << engine.error().detail;
  for (const auto& [round, numbers] : acknowledged) {
    std::int64_t before = 0;
    for (const auto n : numbers) {
      const auto found = (*engine)->find(sample_id(n, round));
      ASSERT_TRUE(found);
      ASSERT_TRUE(found->has_value()) << "number " << n << " of round " << round << " was lost";
      ASSERT_GT((*found)->sequence, before) << "number " << n << " of round " << round << " was overtaken";
      before = (*found)->sequence;
    }
  }
  EXPECT_TRUE((*engine)->verify_audit()->valid);
  EXPECT_GT(spooled, 100U) << "the processes were killed before they did anything";
  EXPECT_GT(direct, 10U);
}

TEST(SpoolCrash, AFullDiskRefusesAndIsForgottenWhenThereIsRoom) {
  const TemporaryDirectory directory;
  Child child({"full", directory.path().string(), "1"});
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(child.output(), "ok\n");
}

}  // namespace
}  // namespace detection::store::spool
