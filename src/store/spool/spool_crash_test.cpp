// What was acknowledged as spooled is there after a kill at any moment, and goes to the database once and in order.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "contract/crash_child.hpp"
#include "contract/store_support.hpp"
#include "store/spool/spool.hpp"
#include "store/sqlite/engine.hpp"
#include "test_paths.hpp"

namespace detection::store::spool {
namespace {

using testing::sample_id;
using testing::TemporaryDirectory;

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
    testing::Child child({DETECTION_BINARY_ROOT "/bin/spool_crash_writer", round % 2 != 0 ? "away" : "flaky",
                          directory.path().string(), std::to_string(round)});
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
  testing::Child child({DETECTION_BINARY_ROOT "/bin/spool_crash_writer", "full", directory.path().string(), "1"});
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(child.output(), "ok\n");
}

}  // namespace
}  // namespace detection::store::spool
