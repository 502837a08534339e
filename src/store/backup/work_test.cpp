#include "store/backup/work.hpp"

#include <gtest/gtest.h>

#include "store/backup/backup_support.hpp"
#include "store/backup/snapshot_file.hpp"

namespace detection::store::backup {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

void be_busy(Clock::duration time) {
  for (const auto until = Clock::now() + time; Clock::now() < until;) continue;
}

TEST(Work, RestsAsLongAsItHasEarned) {
  Work work({}, 0.2);
  EXPECT_TRUE(work.gives_way());
  for (int i = 0; i < 3; ++i) {
    be_busy(5ms);
    const auto before = Clock::now();
    work.breathe();
    EXPECT_GE(Clock::now() - before, 20ms);  // four times the work
  }
}

TEST(Work, TellsAndDoesNotRestUnlessItIsToGiveWay) {
  std::int64_t told = 0;
  const Work work([&](auto, std::int64_t done, auto) { told = done; });
  EXPECT_FALSE(work.gives_way());
  work.tell("copying", 7, 9);
  EXPECT_EQ(told, 7);
  Work().tell("to nobody", 1, 1);
}

/// Each way that a snapshot goes, with rests in between: nothing of it depends on them.
TEST(Work, ASnapshotThatWasMadeSlowlyIsTheSame) {
  const TemporaryDirectory directory;
  const Place place{.directory = directory.path() / "data"};
  {
    auto store = must(sqlite::open({.directory = place.directory}));
    fill(*store);
  }
  const auto fast = must(make({.place = place, .folder = directory.path() / "fast"}));
  const auto slow = must(make({.place = place, .folder = directory.path() / "slow", .share = 0.5}));
  EXPECT_EQ(slow.checked.manifest.parts, fast.checked.manifest.parts);
  EXPECT_EQ(slow.checked.manifest.pages_sha256, fast.checked.manifest.pages_sha256);
  const auto verified = must(verify(slow.file, {}, 0.5));
  ASSERT_TRUE(verified.audit);
  EXPECT_TRUE(verified.audit->valid);
  std::filesystem::create_directories(directory.path() / "scratch");
  EXPECT_EQ(must(rehearse(slow.file, directory.path() / "scratch", {}, 0.5)).manifest.parts,
            fast.checked.manifest.parts);
}

}  // namespace
}  // namespace detection::store::backup
