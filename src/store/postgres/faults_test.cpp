// A server that stops, dies or is cut off, under an open connection.

#include <thread>

#include "integration/support/fault_gate.hpp"
#include "store/postgres/postgres_fixture.hpp"

namespace detection::store::postgres {
namespace {

using integration::Ending;
using integration::FaultGate;
using integration::wait_until;
using sql::TransactionKind;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::PostgresOptions;
using testing::PostgresServer;

constexpr milliseconds kSoon{300};
constexpr std::chrono::seconds kLongAfter{30};

/// A server and a gate before it, for one case.
class PostgresFaults : public testing::NeedsPostgres {
 protected:
  void make() override {
    server_ = std::make_unique<PostgresServer>(PostgresOptions{.fsync = true});
    gate_ = std::make_unique<FaultGate>(integration::GateOptions{.peer_port = server_->port()});
    options_.url = server_->url("postgres", "postgres", "a_secret", gate_->port());
    // What is to succeed has time, however busy the machine is.
    options_.connect_time = options_.statement_time = options_.idle_in_transaction = kLongAfter;
    server_->run_sql("CREATE TABLE t (id bigint PRIMARY KEY)");
  }
  void connect() {
    auto made = PostgresConnection::connect(options_);
    ASSERT_OK(made);
    connection_ = std::move(*made);
  }
  Result<void> insert(std::int64_t id) {
    auto statement = connection_->statement("INSERT INTO t (id) VALUES (?)");
    if (!statement) return std::unexpected(std::move(statement.error()));
    (*statement)->reset();
    (*statement)->bind(1, id);
    auto done = (*statement)->step();
    if (!done) return std::unexpected(std::move(done.error()));
    return {};
  }
  std::string rows() { return server_->run_sql("SELECT count(*) FROM t")[0][0]; }
  void expect_gone(const Result<void>& done, Trouble trouble) {
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kStoreUnavailable);
    EXPECT_THAT(done.error().detail, ::testing::Not(HasSubstr("secret")));
    EXPECT_EQ(connection_->trouble(), trouble) << done.error().detail;
    EXPECT_TRUE(connection_->broken());
    EXPECT_FALSE(connection_->in_transaction());
    // From now on at once, and with the same code.
    for (const auto& after :
         {connection_->execute("SELECT 1"), connection_->begin(TransactionKind::kRead), insert(99)}) {
      ASSERT_FALSE(after);
      EXPECT_EQ(after.error().code, ErrorCode::kStoreUnavailable);
    }
  }
  std::unique_ptr<PostgresServer> server_;
  std::unique_ptr<FaultGate> gate_;
  ConnectOptions options_;
  std::unique_ptr<PostgresConnection> connection_;
};

TEST_F(PostgresFaults, AStoppedServerIsLeftByOurOwnClock) {
  options_.statement_time = kSoon;
  connect();
  server_->suspend();
  const auto done = insert(1);
  expect_gone(done, Trouble::kTooSlow);
  EXPECT_EQ(done.error().detail, "the database did not answer in 300 ms");
  options_.connect_time = milliseconds(200);
  Trouble why{};
  const auto again = PostgresConnection::connect(options_, &why);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().detail, "the database did not answer in 200 ms");
  EXPECT_EQ(why, Trouble::kTooSlow);
  server_->resume();
  options_.connect_time = options_.statement_time = kLongAfter;
  connect();
  ASSERT_OK(insert(2));
}

TEST_F(PostgresFaults, ASlowStatementEndsAtTheDeadlineHereAndThere) {
  connect();
  connection_->set_deadline(std::chrono::steady_clock::now() + kSoon);
  expect_gone(connection_->execute("SELECT pg_sleep(600)"), Trouble::kTooSlow);
  EXPECT_TRUE(wait_until(kLongAfter, [&] {
    return server_->run_sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%'")[0][0] == "0";
  }));
}

TEST_F(PostgresFaults, ADeadlineThatIsOverSendsNothing) {
  connect();
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  ASSERT_OK(insert(1));
  connection_->set_deadline(std::chrono::steady_clock::now() - kSoon);
  for (const auto& done : {insert(2), connection_->commit()}) {
    ASSERT_FALSE(done);
    EXPECT_EQ(connection_->trouble(), Trouble::kTooSlow);
  }
  EXPECT_FALSE(connection_->commit_in_doubt());
  EXPECT_FALSE(connection_->broken());
  connection_->rollback();  // has its own time
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_FALSE(connection_->broken());
  connection_->set_deadline({});
  ASSERT_OK(insert(3));
  EXPECT_EQ(rows(), "1");
}

TEST_F(PostgresFaults, ALockThatAnotherHoldsIsGivenUpBeforeTheConnection) {
  options_.statement_time = std::chrono::seconds(4);
  connect();
  const auto first = std::move(connection_);
  connect();
  ASSERT_OK(first->execute("BEGIN; LOCK TABLE t"));
  const auto done = insert(1);
  ASSERT_FALSE(done);
  EXPECT_EQ(connection_->sqlstate(), "55P03") << done.error().detail;
  EXPECT_EQ(connection_->trouble(), Trouble::kTooSlow);
  EXPECT_FALSE(connection_->broken());
}

TEST_F(PostgresFaults, ADeadlockIsWorthAnotherTry) {
  server_->run_sql("INSERT INTO t (id) VALUES (1), (2)");
  connect();
  const auto first = std::move(connection_);
  connect();
  // The server looks for a circle only after deadlock_timeout, in the one that waits: the second closes it.
  ASSERT_OK(first->execute("BEGIN; SET LOCAL deadlock_timeout = '1h'; SELECT FROM t WHERE id = 1 FOR UPDATE"));
  ASSERT_OK(connection_->execute("BEGIN; SET LOCAL deadlock_timeout = '1ms'; SELECT FROM t WHERE id = 2 FOR UPDATE"));
  std::thread waits([&] { (void)first->execute("SELECT FROM t WHERE id = 2 FOR UPDATE"); });
  EXPECT_TRUE(wait_until(kLongAfter, [&] {
    return server_->run_sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0][0] == "1";
  }));
  const auto done = connection_->execute("SELECT FROM t WHERE id = 1 FOR UPDATE");
  connection_->rollback();
  waits.join();
  ASSERT_FALSE(done);
  EXPECT_EQ(connection_->trouble(), Trouble::kBusy) << done.error().detail;
  EXPECT_FALSE(connection_->broken());
}

TEST_F(PostgresFaults, ABackendThatWasEnded) {
  connect();
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  ASSERT_OK(insert(1));
  server_->run_sql(
      "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'detection-api'");
  const auto done = insert(2);
  EXPECT_EQ(connection_->sqlstate(), "57P01");
  expect_gone(done, Trouble::kUnreachable);
  connect();
  EXPECT_EQ(rows(), "0");
}

TEST_F(PostgresFaults, ATransactionThatStandsStillIsEndedByTheServer) {
  options_.idle_in_transaction = milliseconds(50);
  connect();
  ASSERT_OK(connection_->execute("BEGIN; LOCK TABLE t"));
  EXPECT_TRUE(wait_until(kLongAfter, [&] {
    return server_->run_sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'detection-api'")[0][0] ==
           "0";
  }));
  const auto done = insert(1);
  EXPECT_EQ(connection_->sqlstate(), "25P03");
  expect_gone(done, Trouble::kTooSlow);
}

TEST_F(PostgresFaults, ARestartedServerIsConnectedToAgain) {
  for (const bool crash : {false, true}) {
    connect();
    ASSERT_OK(insert(crash ? 1 : 2));
    crash ? server_->kill9() : server_->stop(PostgresServer::Stop::kFast);
    server_->start();
    expect_gone(insert(3), Trouble::kUnreachable);
  }
  connect();
  EXPECT_EQ(rows(), "2");
  ASSERT_OK(insert(3));
}

TEST_F(PostgresFaults, ACutConnection) {
  for (const auto how : {Ending::kReset, Ending::kClose}) {
    connect();
    ASSERT_OK(connection_->begin(TransactionKind::kWrite));
    gate_->end_all(how);
    EXPECT_TRUE(wait_until(kLongAfter, [&] { return gate_->standing() == 0; }));
    expect_gone(insert(1), Trouble::kUnreachable);
  }
}

TEST_F(PostgresFaults, ACommitWithoutAnAnswerIsInDoubt) {
  for (const bool arrives : {true, false}) {
    connect();
    ASSERT_OK(connection_->begin(TransactionKind::kWrite));
    ASSERT_OK(insert(arrives ? 1 : 2));
    gate_->set(arrives ? integration::Faults{.stall_to_client = true} : integration::Faults{.stall_to_peer = true});
    connection_->set_deadline(std::chrono::steady_clock::now() + kSoon);
    const auto done = connection_->commit();
    EXPECT_TRUE(connection_->commit_in_doubt());
    expect_gone(done, Trouble::kTooSlow);
    gate_->end_all(Ending::kReset);  // what is held in the gate is lost with it
    gate_->heal();
    EXPECT_TRUE(wait_until(kLongAfter, [&] {
      return server_->run_sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'detection-api'")[0][0] ==
             "0";
    }));
    EXPECT_EQ(rows(), "1") << "the first was committed, the second was not: only asking tells";
  }
}

TEST_F(PostgresFaults, AFailureBeforeTheCommitLeavesNoDoubt) {
  connect();
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  gate_->set({.stall_to_client = true});
  connection_->set_deadline(std::chrono::steady_clock::now() + kSoon);
  expect_gone(insert(1), Trouble::kTooSlow);
  EXPECT_FALSE(connection_->commit_in_doubt());
  EXPECT_FALSE(connection_->commit());
  EXPECT_FALSE(connection_->commit_in_doubt());
}

TEST_F(PostgresFaults, ACopyIntoAStalledServerEnds) {
  options_.statement_time = kSoon;
  connect();
  CopyBuffer rows;
  for (std::int64_t id = 0; id < 2'000'000; ++id) {
    rows.begin_row(1);
    rows.add(id);
  }
  gate_->set({.bytes_per_second = 100'000});
  expect_gone(connection_->copy_in("COPY t (id) FROM STDIN (FORMAT binary)", *rows.finish()), Trouble::kTooSlow);
}

TEST_F(PostgresFaults, AnswersInSmallPiecesAreWhole) {
  connect();
  gate_->set({.piece_bytes = 7});
  auto statement = connection_->statement("SELECT n, 'text ' || n FROM generate_series(1, ?) g(n)");
  ASSERT_OK(statement);
  (*statement)->bind(1, std::int64_t{500});
  std::int64_t row = 0;
  while (*(*statement)->step()) {
    ++row;
    EXPECT_EQ((*statement)->integer(0), row);
    EXPECT_EQ((*statement)->text(1), "text " + std::to_string(row));
  }
  EXPECT_EQ(row, 500);
}

}  // namespace
}  // namespace detection::store::postgres
