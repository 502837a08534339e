// What was acknowledged is there after a kill at any moment, and after the disk was full.

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "contract/crash_child.hpp"
#include "contract/store_support.hpp"
#include "store/sqlite/engine.hpp"
#include "test_paths.hpp"

namespace detection::store::sqlite {
namespace {

using testing::sample_id;
using testing::TemporaryDirectory;

TEST(Crash, AKilledWriterLosesNothingThatItAcknowledged) {
  const TemporaryDirectory directory;
  std::mt19937 random(5);
  std::vector<Uuid> acknowledged;
  std::vector<std::int64_t> confirmed;
  for (int round = 1; round <= 10; ++round) {
    testing::Child child(
        {DETECTION_BINARY_ROOT "/bin/store_crash_writer", "write", directory.path().string(), std::to_string(round)});
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
  testing::Child child({DETECTION_BINARY_ROOT "/bin/store_crash_writer", "full", directory.path().string()});
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(child.output(), "ok\n");
  const auto store = open({.directory = directory.path()});
  ASSERT_TRUE(store) << store.error().detail;
  EXPECT_TRUE((*store)->verify_audit()->valid);
}

}  // namespace
}  // namespace detection::store::sqlite
