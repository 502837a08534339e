// What was acknowledged is there after a kill at any moment, and after the disk was full.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "contract/store_support.hpp"
#include "store/sqlite/engine.hpp"
#include "test_paths.hpp"

namespace detection::store::sqlite {
namespace {

using testing::sample_id;
using testing::TemporaryDirectory;

/// The program of crash_writer.cpp; its output is read to the end when it is ended or killed.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    arguments.insert(arguments.begin(), DETECTION_BINARY_ROOT "/bin/store_crash_writer");
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

TEST(Crash, AKilledWriterLosesNothingThatItAcknowledged) {
  const TemporaryDirectory directory;
  std::mt19937 random(5);
  std::vector<Uuid> acknowledged;
  std::vector<std::int64_t> confirmed;
  for (int round = 1; round <= 10; ++round) {
    Child child({"write", directory.path().string(), std::to_string(round)});
    std::this_thread::sleep_for(std::chrono::microseconds(20'000 + random() % 100'000));
    child.kill();
    ASSERT_EQ(child.wait(), -1) << child.output();
    std::istringstream lines(child.output());
    std::string kind;
    for (std::int64_t n = 0; lines >> kind >> n;) {
      if (kind == "A")
        acknowledged.push_back(sample_id(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(round)));
      else if (kind == "C")
        confirmed.push_back(n);
    }
    auto store = open({.directory = directory.path()});
    ASSERT_TRUE(store) << store.error().detail;
    ASSERT_TRUE((*store)->open_sink("tak"));
    EXPECT_TRUE((*store)->status().writable) << (*store)->status().reason;
    std::size_t lost = 0;
    for (const auto& id : acknowledged) lost += !(*store)->find(id).value().has_value();
    EXPECT_EQ(lost, 0U) << "of " << acknowledged.size();
    const auto queue = (*store)->sink_queues().value().at(0);
    EXPECT_GE(queue.delivered, static_cast<std::int64_t>(confirmed.size()));
    EXPECT_EQ(queue.delivered + queue.queued, (*store)->status().detections);
    std::set<std::int64_t> again;
    while (true) {
      const auto due = (*store)->claim("tak", 10'000);
      ASSERT_TRUE(due) << due.error().detail;
      if (due->items.empty()) break;
      for (const auto& item : due->items) EXPECT_TRUE(again.insert(item.sequence).second);
    }
    EXPECT_EQ(static_cast<std::int64_t>(again.size()), queue.queued);
    for (const auto n : confirmed) ASSERT_FALSE(again.contains(n)) << n << " was confirmed and is due again";
    const auto verdict = (*store)->verify_audit();
    ASSERT_TRUE(verdict);
    ASSERT_TRUE(verdict->valid) << *verdict->first_bad;
  }
  EXPECT_GT(acknowledged.size(), 100U) << "the writers were killed before they did anything";
  EXPECT_GT(confirmed.size(), 100U);
}

TEST(Crash, AFullDiskRefusesAndIsForgottenWhenThereIsRoom) {
  const TemporaryDirectory directory;
  Child child({"full", directory.path().string()});
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(child.output(), "ok\n");
  const auto store = open({.directory = directory.path()});
  ASSERT_TRUE(store) << store.error().detail;
  EXPECT_TRUE((*store)->verify_audit()->valid);
}

}  // namespace
}  // namespace detection::store::sqlite
