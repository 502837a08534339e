#include "store/backup/work.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "store/backup/backup_support.hpp"
#include "store/backup/file.hpp"
#include "store/backup/folder.hpp"
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

/// Large enough to go in several pieces, and what lies in a folder of scratch too.
TEST(Work, ScratchThatGoesSlowlyGoesWhole) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "detections-20260101T000000.000Z.snapshot.partial";
  const auto folder = directory.path() / "detections-20260101T000000.000Z.snapshot.partial-restored";
  std::filesystem::create_directories(folder / "deeper");
  write_all(file, std::string(5 << 20, 'x'));
  write_all(folder / "detections.db", std::string(3 << 20, 'x'));
  write_all(folder / "deeper" / "more", "x");
  const auto open = must(File::open(file, O_RDONLY));
  Work work({}, 0.5);
  remove_unfinished(directory.path(), work);
  EXPECT_LE(must(open.size()), 1 << 20) << "it went at once";
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_FALSE(std::filesystem::exists(folder));
}

/// Whoever kept it under another name, or put a name of his there, has it still.
TEST(Work, ScratchThatGoesSlowlyIsNotEmptiedForThoseThatKeepIt) {
  const TemporaryDirectory directory;
  const std::string content(5 << 20, 'x');
  const auto kept = directory.path() / "kept", elsewhere = directory.path() / "elsewhere";
  write_all(kept, content);
  write_all(elsewhere, content);
  Work work({}, 0.5);
  std::filesystem::create_hard_link(kept, directory.path() / "scratch");
  const Scratch linked(directory.path() / "scratch", work);
  std::filesystem::create_symlink(elsewhere, directory.path() / "pointing");
  const Scratch pointing(directory.path() / "pointing", work);
  for (const auto* name : {"scratch", "pointing"}) EXPECT_FALSE(std::filesystem::exists(directory.path() / name));
  EXPECT_EQ(read_all(kept), content);
  EXPECT_EQ(read_all(elsewhere), content);
}

}  // namespace
}  // namespace detection::store::backup
