// The server comes back with an earlier state of the database, as after a restore to a point in time under a process
// that stays: what the process claimed is of a time that never was.

#include <filesystem>

#include "contract/store_support.hpp"
#include "store/postgres/engine.hpp"
#include "store/postgres/postgres_fixture.hpp"

namespace detection::store::postgres {
namespace {

namespace fs = std::filesystem;
using integration::wait_until;
using store::testing::commit;
using store::testing::sample;
using testing::PostgresOptions;
using testing::PostgresServer;

constexpr std::chrono::seconds kLongAfter{30};

class PostgresRewind : public testing::NeedsPostgres {
 protected:
  void make() override {
    server_ = std::make_unique<PostgresServer>(PostgresOptions{});
    auto opened = postgres::open({.url = server_->url("postgres"), .process = "rewind", .commit_time = kLongAfter});
    ASSERT_OK(opened);
    store_ = std::move(*opened);
    ASSERT_OK(store_->open_sink("tak"));
  }
  void accept(std::uint64_t n) {
    EXPECT_TRUE(wait_until(kLongAfter, [&] {
      std::vector<Acceptance> items;
      items.push_back(sample(n));
      return !commit(*store_, std::move(items))->error;
    }));
  }
  Claim claim() {
    Claim taken;
    EXPECT_TRUE(wait_until(kLongAfter, [&] {
      auto claimed = store_->claim("tak", 10);
      if (claimed) taken = std::move(*claimed);
      return !taken.items.empty();
    }));
    return taken;
  }
  [[nodiscard]] fs::path data() const { return server_->folder() / "data"; }
  [[nodiscard]] fs::path kept() const { return server_->folder() / "kept"; }
  void keep() {
    server_->suspend();
    copy(data(), kept());
    server_->resume();
  }
  /// As a crash; then it starts with what was kept.
  void rewind() {
    server_->kill9();
    fs::remove_all(data());
    copy(kept(), data());
    fs::remove(data() / "postmaster.pid");
    server_->start();
  }

  std::unique_ptr<PostgresServer> server_;
  std::unique_ptr<Store> store_;

 private:
  static void copy(const fs::path& from, const fs::path& to) {
    const auto done = integration::run({"cp", "-a", from.string(), to.string()});  // with owners
    ASSERT_EQ(done.exit.code, 0) << done.err;
  }
};

TEST_F(PostgresRewind, AClaimOfBeforeConfirmsNothingOfAfter) {
  accept(1);
  ASSERT_OK(store_->confirm(claim(), Confirmation::kConfirmed, UtcMicros{1}, {}));
  keep();  // with the lease that stands
  accept(2);
  accept(3);
  const auto before = claim();
  ASSERT_FALSE(before.items.empty());
  rewind();
  accept(4);
  accept(5);
  ASSERT_EQ(server_->run_sql("SELECT head FROM log")[0][0], "3") << "numbers 2 and 3 were given out anew";
  Result<void> confirmed;
  EXPECT_TRUE(wait_until(kLongAfter, [&] {
    confirmed = store_->confirm(before, Confirmation::kConfirmed, UtcMicros{2}, {});
    return confirmed || confirmed.error().code != ErrorCode::kStoreUnavailable;
  }));
  ASSERT_FALSE(confirmed) << "4 and 5 count as delivered, and never were";
  EXPECT_EQ(confirmed.error().code, ErrorCode::kConflict) << confirmed.error().detail;
  std::vector<std::int64_t> due;
  while (due.size() < 2) {
    const auto after = claim();
    ASSERT_FALSE(after.items.empty());
    for (const auto& item : after.items) due.push_back(item.sequence);
    ASSERT_OK(store_->confirm(after, Confirmation::kConfirmed, UtcMicros{3}, {}));
  }
  EXPECT_THAT(due, ::testing::ElementsAre(2, 3));
}

TEST_F(PostgresRewind, AServerThatWasStartedAnewHasNothingConfirmedTwice) {
  accept(1);
  const auto before = claim();
  ASSERT_EQ(before.items.size(), 1U);
  server_->stop(PostgresServer::Stop::kImmediate);
  server_->start();
  accept(2);
  Result<void> confirmed;
  EXPECT_TRUE(wait_until(kLongAfter, [&] {
    confirmed = store_->confirm(before, Confirmation::kConfirmed, UtcMicros{2}, {});
    return confirmed || confirmed.error().code != ErrorCode::kStoreUnavailable;
  }));
  ASSERT_FALSE(confirmed);
  EXPECT_EQ(confirmed.error().code, ErrorCode::kConflict) << confirmed.error().detail;
  EXPECT_EQ(claim().items.front().sequence, 1) << "it goes out again";
}

}  // namespace
}  // namespace detection::store::postgres
