// Whatever happens to the bytes of a snapshot is found; what is left of one never looks good.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "store/backup/backup_support.hpp"
#include "store/backup/folder.hpp"
#include "store/backup/snapshot_file.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

using namespace testing;
using ::testing::HasSubstr;

class SnapshotFile : public ::testing::Test {
 protected:
  void SetUp() override {
    {
      auto store = must(sqlite::open({.directory = directory_.path() / "data"}));
      fill(*store);
    }
    made_ = must(make({.place = {.directory = directory_.path() / "data"}, .folder = directory_.path() / "backup"}));
    bytes_ = read_all(made_.file);
    ASSERT_GT(bytes_.size(), 100'000U);
  }

  /// What verify() says of these bytes in place of the snapshot's.
  [[nodiscard]] Result<Checked> verdict(std::string_view bytes) const {
    write_all(changed_, bytes);
    return verify(changed_, {});
  }

  TemporaryDirectory directory_;
  std::filesystem::path changed_ = directory_.path() / "changed.snapshot";
  Made made_;
  std::string bytes_;
};

TEST_F(SnapshotFile, IsGoodAsItWasWrittenAndSqliteOpensIt) {
  const auto checked = verdict(bytes_);
  ASSERT_TRUE(checked) << checked.error().detail;
  EXPECT_EQ(summary(checked->manifest), summary(made_.checked.manifest));
  ASSERT_TRUE(checked->audit);
  EXPECT_TRUE(checked->audit->valid) << *checked->audit->first_bad;
  auto db = must(sqlite::open_database(made_.file, sqlite::Access::kReadOnly));
  EXPECT_EQ(must(db.integer("SELECT count(*) FROM detection")), 300);
  EXPECT_EQ(must(db.text("PRAGMA integrity_check")), "ok");
  EXPECT_EQ(bytes_.size() % static_cast<std::size_t>(kPageBytes), 0U);
}

// 100 of 100, over the whole file and, as they are small, over its manifest and its trailer by themselves.
TEST_F(SnapshotFile, OneFlippedByteIsFoundWhereverItIs) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto pages = static_cast<std::size_t>(made_.checked.manifest.pages_bytes);
  int found = 0, trials = 0;
  const auto flip = [&](std::size_t from, std::size_t to) {
    const auto at = from + random() % (to - from);
    auto changed = bytes_;
    changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(1 + random() % 255));
    const auto said = verdict(changed);
    ++trials;
    if (!said && said.error().code == ErrorCode::kValidationFailed) ++found;
  };
  for (int i = 0; i < 60; ++i) flip(0, bytes_.size());
  for (int i = 0; i < 20; ++i) flip(pages, bytes_.size());
  for (int i = 0; i < 20; ++i) flip(bytes_.size() - 64, bytes_.size());
  EXPECT_EQ(found, trials);
  EXPECT_EQ(trials, 100);
}

TEST_F(SnapshotFile, ATruncatedOrLengthenedOneIsNone) {
  std::mt19937_64 random(7);
  std::vector<std::size_t> sizes{0, 1, 63, 64, 4095, 4096, bytes_.size() - 1, bytes_.size() - 4096};
  for (int i = 0; i < 30; ++i) sizes.push_back(random() % bytes_.size());
  for (int i = 0; i < 10; ++i) sizes.push_back(random() % bytes_.size() / 4096 * 4096);
  for (const auto size : sizes) {
    const auto said = verdict(std::string_view(bytes_).substr(0, size));
    ASSERT_FALSE(said) << size;
    EXPECT_EQ(said.error().code, ErrorCode::kValidationFailed) << said.error().detail;
  }
  for (const std::size_t more : {1U, 64U, 4096U}) EXPECT_FALSE(verdict(bytes_ + std::string(more, '\0')));
  // An end that was put there again, behind another beginning.
  EXPECT_FALSE(verdict(bytes_ + bytes_.substr(bytes_.size() - 4096)));
}

TEST_F(SnapshotFile, ContentThatWasChangedWithItsHashesMadeAnewIsFoundByItsParts) {
  auto manifest = made_.checked.manifest;
  const auto copy = directory_.path() / "forged.db";
  Work work;
  must(copy_pages(made_.file, manifest, copy, work));
  {
    auto db = must(sqlite::open_database(copy, sqlite::Access::kCreate));
    must(db.execute("UPDATE sink SET cursor = cursor + 1; PRAGMA journal_mode = DELETE"));
  }
  (void)must(seal(copy, manifest, work));
  const auto said = verify(copy, {});
  ASSERT_FALSE(said);
  EXPECT_THAT(said.error().detail, HasSubstr("the table sink does not hold"));
}

TEST_F(SnapshotFile, OneOfANewerProgramIsRefusedByWhatItSays) {
  auto manifest = made_.checked.manifest;
  ++manifest.schema_version;
  const auto copy = directory_.path() / "newer.db";
  Work work;
  must(copy_pages(made_.file, manifest, copy, work));
  (void)must(seal(copy, manifest, work));
  const auto said = verify(copy, {});
  ASSERT_FALSE(said);
  EXPECT_THAT(said.error().detail, HasSubstr("use the newer program"));
}

TEST(SnapshotName, SaysWhenItWasMadeAndNothingElseDoes) {
  const UtcMicros time{1'795'460'645'123'000};
  EXPECT_EQ(snapshot_name(time), "detections-20261123T190405.123Z.snapshot");
  EXPECT_EQ(made_at(snapshot_name(time)), time);
  for (const char* name : {"detections-20261123T190405.123Z.snapshot.partial", "detections-x.snapshot", "",
                           "detections-20261323T190405.123Z.snapshot", "detections.db"})
    EXPECT_FALSE(made_at(name)) << name;
}

TEST(Manifest, HostileOnesAreRefusedInWords) {
  for (
      const char* text :
      {"", "{", "[]", "{}", "null", R"({"format":2})", R"({"format":1,"made":"x"})",
       R"({"format":1,"made":"2026-11-23T19:04:05Z","tables":[]})",
       R"({"format":1,"made":"2026-11-23T19:04:05Z","tables":[{"table":"a; DROP TABLE x","key_columns":1,"columns":"a:i","rows":0,"sha256":"00"}]})",
       R"({"format":1,"made":"2026-11-23T19:04:05Z","tables":[{"table":"a","key_columns":3,"columns":"a:i","rows":0,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]})",
       R"({"format":1,"made":"2026-11-23T19:04:05Z","tables":[{"table":"a","key_columns":1,"columns":"a:i) --:t","rows":0,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]})"}) {
    const auto parsed = parse_manifest(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kValidationFailed) << text;
  }
}

}  // namespace
}  // namespace detection::store::backup
