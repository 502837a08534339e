// Whatever stands in the tables arrives as it was: rows of random values, the hardest among them, through a snapshot.

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "store/backup/backup_support.hpp"
#include "store/backup/content.hpp"
#include "store/backup/snapshot_database.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

using namespace testing;

class RandomRows {
 public:
  explicit RandomRows(std::uint64_t seed) : random_(seed) {}

  /// A row of the table with the n-th key: keys must differ.
  std::vector<Value> row(const Table& table, std::int64_t n) {
    texts_.clear();
    texts_.reserve(table.columns.size());
    std::vector<Value> out;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const auto kind = table.columns[i].kind;
      // A name is unique as well.
      if (static_cast<int>(i) < table.key_columns || table.columns[i].name == "name") {
        texts_.push_back("key-" + std::to_string(1'000 + n));
        out.push_back({.kind = kind, .integer = n, .text = texts_.back()});
      } else {
        out.push_back(value(kind));
      }
    }
    return out;
  }

 private:
  Value value(Kind kind) {
    static constexpr std::int64_t kIntegers[] = {0,
                                                 1,
                                                 -1,
                                                 std::numeric_limits<std::int64_t>::min(),
                                                 std::numeric_limits<std::int64_t>::max(),
                                                 1LL << 53,
                                                 (1LL << 40) - 1};
    static constexpr double kReals[] = {0.0,
                                        -0.0,
                                        5.0,
                                        0.1,
                                        1e300,
                                        -1e300,
                                        std::numeric_limits<double>::denorm_min(),
                                        std::numeric_limits<double>::epsilon(),
                                        9007199254740993.0,
                                        1e19,
                                        48.25};
    Value out{.kind = kind};
    switch (kind) {
      case Kind::kInteger:
        out.integer =
            random_() % 2 == 0 ? kIntegers[random_() % std::size(kIntegers)] : static_cast<std::int64_t>(random_());
        break;
      case Kind::kReal: out.real = kReals[random_() % std::size(kReals)]; break;
      case Kind::kText: out.text = keep(text()); break;
      case Kind::kBytes: out.text = keep(bytes()); break;
    }
    return out;
  }
  std::string text() {
    static constexpr std::string_view kPieces[] = {"",    "a",      "'",          "\"",   "\\",     "\n",   "\t",
                                                   "Süd", "\u20ac", "\U0001f600", "DET.", "\u0001", "NULL", "\\N"};
    std::string out;
    for (auto count = random_() % 12; count > 0; --count) out += kPieces[random_() % std::size(kPieces)];
    if (random_() % 50 == 0) out.append(20'000, 'x');
    return out;
  }
  std::string bytes() {
    std::string out(random_() % 120, '\0');
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  std::mt19937_64 random_;
  std::vector<std::string> texts_;
};

TEST(BackupCopy, EveryValueArrives) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomRows rows(seed);
  const TemporaryDirectory directory;
  std::vector<Content> put;
  Work work;
  {
    auto first = must(SnapshotDatabase::create(directory.path() / "first", work));
    for (const auto& table : tables()) {
      ContentDigest digest;
      // A release has one row. Keys of text are read in their own order.
      const std::int64_t count = table.name == "release" ? 1 : 200;
      for (std::int64_t n = 1; n <= count; ++n) {
        const auto row = rows.row(table, n);
        digest.add(row);
        must(first.insert(table, row));
      }
      put.push_back(digest.finish());
    }
    must(first.database().execute("COMMIT"));
  }
  auto from = must(sqlite::open_database(directory.path() / "first", sqlite::Access::kReadOnly));
  {
    auto second = must(SnapshotDatabase::create(directory.path() / "second", work));
    const auto parts = must(read_parts(
        from, tables(), [&](const Table& table, Row row) { return second.insert(table, row); }, "", 0, work));
    ASSERT_EQ(parts.size(), put.size());
    for (std::size_t i = 0; i < parts.size(); ++i) EXPECT_EQ(parts[i].content, put[i]) << parts[i].table.name;
    must(second.database().execute("COMMIT"));
  }
  auto to = must(sqlite::open_database(directory.path() / "second", sqlite::Access::kReadOnly));
  const auto parts = must(read_parts(to, tables(), {}, "", 0, work));
  for (std::size_t i = 0; i < parts.size(); ++i) EXPECT_EQ(parts[i].content, put[i]) << parts[i].table.name;
}

TEST(BackupCopy, TheDigestTellsApartWhatLooksAlike) {
  const auto digest_of = [](const std::vector<Value>& row) {
    ContentDigest digest;
    digest.add(row);
    return digest.finish().sha256;
  };
  const Value null_text{.kind = Kind::kText, .null = true}, empty{.kind = Kind::kText};
  const Value a{.kind = Kind::kText, .text = "a"}, ab{.kind = Kind::kText, .text = "ab"},
      b{.kind = Kind::kText, .text = "b"};
  const Value bytes_a{.kind = Kind::kBytes, .text = "a"};
  const Value zero{.kind = Kind::kReal}, minus_zero{.kind = Kind::kReal, .real = -0.0},
      one{.kind = Kind::kInteger, .integer = 1};
  const Value real_one{.kind = Kind::kReal, .real = 1};
  EXPECT_NE(digest_of({null_text}), digest_of({empty}));
  EXPECT_NE(digest_of({a, ab}), digest_of({ab, a}));
  EXPECT_NE(digest_of({ab, b}), digest_of({a, {.kind = Kind::kText, .text = "bb"}}));
  EXPECT_NE(digest_of({a}), digest_of({bytes_a}));
  EXPECT_NE(digest_of({one}), digest_of({real_one}));
  EXPECT_EQ(digest_of({zero}), digest_of({minus_zero}));
}

}  // namespace
}  // namespace detection::store::backup
