// The connection breaks between a commit and its answer: what it recorded of a claim is found, not written again.

#include <functional>
#include <thread>

#include "contract/store_support.hpp"
#include "integration/support/fault_gate.hpp"
#include "store/postgres/engine.hpp"
#include "store/postgres/postgres_fixture.hpp"

namespace detection::store::postgres {
namespace {

using integration::FaultGate;
using integration::wait_until;
using store::testing::commit;
using store::testing::sample;
using testing::PostgresOptions;
using testing::PostgresServer;

constexpr std::chrono::seconds kLongAfter{30};

class PostgresDoubt : public testing::NeedsPostgres {
 protected:
  void make() override {
    server_ = std::make_unique<PostgresServer>(PostgresOptions{});
    gate_ = std::make_unique<FaultGate>(integration::GateOptions{.peer_port = server_->port()});
    auto opened = postgres::open({.url = server_->url("postgres", "postgres", "", gate_->port()),
                                  .process = "doubt",
                                  .commit_time = kLongAfter});
    ASSERT_OK(opened);
    store_ = std::move(*opened);
    ASSERT_OK(store_->open_sink("tak"));
    std::vector<Acceptance> items;
    for (std::uint64_t i = 1; i <= 3; ++i) items.push_back(sample(i));
    ASSERT_FALSE(commit(*store_, std::move(items))->error);
    // A commit that writes into one of these waits for us.
    auto holder = PostgresConnection::connect({.url = server_->url("postgres")});
    ASSERT_OK(holder);
    holder_ = std::move(*holder);
    server_->run_sql(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON delivery DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait();"
        "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON dead_letter DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait()");
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
  SinkQueue queue() {
    Result<std::vector<SinkQueue>> queues;
    // The connection that reads was cut as well.
    EXPECT_TRUE(wait_until(kLongAfter, [&] { return (queues = store_->sink_queues()).has_value(); }));
    return queues && !queues->empty() ? queues->front() : SinkQueue{};
  }
  std::string rows(const std::string& table) { return server_->run_sql("SELECT count(*) FROM " + table)[0][0]; }
  /// Once without an answer, then until there is one.
  void end_in_doubt(const std::string& table, const std::function<Result<void>()>& end) {
    ASSERT_OK(holder_->execute("SELECT pg_advisory_lock(42)"));
    Result<void> first;
    std::thread ends([&] { first = end(); });
    EXPECT_TRUE(wait_until(kLongAfter, [&] {
      return server_->run_sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'")[0][0] == "1";
    }));
    gate_->set({.stall_to_client = true});
    EXPECT_TRUE(holder_->execute("SELECT pg_advisory_unlock(42)"));
    EXPECT_TRUE(wait_until(kLongAfter, [&] { return rows(table) == "1"; }));
    gate_->end_all(integration::Ending::kReset);
    gate_->heal();
    ends.join();
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().code, ErrorCode::kStoreUnavailable) << first.error().detail;
    Result<void> again;
    EXPECT_TRUE(wait_until(kLongAfter, [&] { return (again = end()).has_value(); })) << testing::words(again);
  }

  std::unique_ptr<PostgresServer> server_;
  std::unique_ptr<FaultGate> gate_;
  std::unique_ptr<PostgresConnection> holder_;
  std::unique_ptr<Store> store_;
};

TEST_F(PostgresDoubt, AConfirmationIsRecordedOnceAndTheSinkGoesOn) {
  const auto taken = claim();
  ASSERT_EQ(taken.items.size(), 3U);
  end_in_doubt("delivery", [&] { return store_->confirm(taken, Confirmation::kConfirmed, UtcMicros{1}, {}); });
  const auto queue = this->queue();
  EXPECT_EQ(queue.delivered, 3);
  EXPECT_EQ(queue.queued, 0);
  std::vector<Acceptance> more;
  more.push_back(sample(4));
  ASSERT_FALSE(commit(*store_, std::move(more))->error);
  const auto next = claim();
  ASSERT_EQ(next.items.size(), 1U);
  EXPECT_EQ(next.items.front().sequence, 4);
}

TEST_F(PostgresDoubt, ADeadLetterIsBuriedOnce) {
  const auto taken = claim();
  ASSERT_EQ(taken.items.size(), 3U);
  end_in_doubt("dead_letter", [&] { return store_->mark_dead(taken, 2, "refused"); });
  EXPECT_EQ(rows("audit WHERE type = 'tak_push_failed'"), "1");
  ASSERT_OK(store_->confirm(taken, Confirmation::kConfirmed, UtcMicros{1}, {}));
  EXPECT_EQ(queue().delivered, 2);
}

}  // namespace
}  // namespace detection::store::postgres
