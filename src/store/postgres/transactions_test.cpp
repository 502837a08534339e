// Transactions, round trips of several statements, and COPY, against a real server.

#include "store/postgres/postgres_fixture.hpp"

namespace detection::store::postgres {
namespace {

using sql::TransactionKind;
using ::testing::HasSubstr;

class PostgresTransactions : public testing::OneServer {
 protected:
  void make() override {
    OneServer::make();
    ASSERT_OK(db_.execute("CREATE TABLE t (id bigint PRIMARY KEY, r double precision, s text, b bytea)"));
  }
  std::string rows() { return ask_server("SELECT count(*) FROM t")[0][0]; }
  PostgresStatement* bound(std::string_view sql, std::int64_t value) {
    auto* statement = *connection_->statement(sql);
    statement->reset();
    statement->bind(1, value);
    return statement;
  }
  static constexpr std::string_view kInsert = "INSERT INTO t (id) VALUES (?)";
};

TEST_F(PostgresTransactions, CommitOrNothing) {
  {
    auto transaction = sql::Transaction::begin(db_, TransactionKind::kWrite);
    ASSERT_OK(transaction);
    ASSERT_OK(db_.query(kInsert).bind(std::int64_t{1}).run());
    EXPECT_TRUE(db_.in_transaction());
    EXPECT_EQ(rows(), "0");
    ASSERT_OK(transaction->commit());
  }
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_EQ(rows(), "1");
  {
    auto transaction = sql::Transaction::begin(db_, TransactionKind::kWrite);
    ASSERT_OK(db_.query(kInsert).bind(std::int64_t{2}).run());
  }
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_EQ(rows(), "1");
}

TEST_F(PostgresTransactions, AReadingOneIsOneSnapshotAndRefusesToWrite) {
  ASSERT_OK(connection_->begin(TransactionKind::kRead));
  EXPECT_EQ(**db_.integer("SELECT count(*) FROM t"), 0);
  ask_server("INSERT INTO t (id) VALUES (1)");
  EXPECT_EQ(**db_.integer("SELECT count(*) FROM t"), 0);
  EXPECT_FALSE(db_.query(kInsert).bind(std::int64_t{2}).run());
  EXPECT_FALSE(connection_->broken());  // it is the transaction that only reads, not the server
  connection_->rollback();
  EXPECT_EQ(**db_.integer("SELECT count(*) FROM t"), 1);
}

TEST_F(PostgresTransactions, ACommitThatRollsBackIsAnError) {
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  ASSERT_OK(db_.query(kInsert).bind(std::int64_t{1}).run());
  EXPECT_FALSE(db_.query(kInsert).bind(std::int64_t{1}).run());
  EXPECT_FALSE(db_.query("SELECT 1").run());
  EXPECT_EQ(connection_->sqlstate(), "25P02");
  const auto done = connection_->commit();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kStoreUnavailable);
  EXPECT_FALSE(connection_->commit_in_doubt());
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_EQ(rows(), "0");
}

TEST_F(PostgresTransactions, OneAtATime) {
  EXPECT_FALSE(connection_->commit());
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  EXPECT_FALSE(connection_->begin(TransactionKind::kWrite));
  EXPECT_TRUE(db_.in_transaction());
  ASSERT_OK(connection_->commit());
}

TEST_F(PostgresTransactions, ADeferredConstraintFailsTheCommitForSure) {
  ASSERT_OK(db_.execute("ALTER TABLE t ADD CONSTRAINT u UNIQUE (r) DEFERRABLE INITIALLY DEFERRED"));
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  ASSERT_OK(db_.execute("INSERT INTO t (id, r) VALUES (1, 1), (2, 1)"));
  const auto done = connection_->commit();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kStoreUnavailable);
  EXPECT_FALSE(connection_->commit_in_doubt());
  EXPECT_FALSE(db_.in_transaction());
}

TEST_F(PostgresTransactions, BeginWithAStatementIsOneTrip) {
  ask_server("INSERT INTO t (id) VALUES (1)");
  for (int i = 0; i < 2; ++i) {  // once prepared, once known
    auto* first = bound("SELECT id, s FROM t WHERE id = ? FOR UPDATE", 1);
    const auto row = connection_->begin_with(TransactionKind::kWrite, *first);
    ASSERT_OK(row);
    EXPECT_TRUE(*row);
    EXPECT_EQ(first->integer(0), 1);
    EXPECT_TRUE(db_.in_transaction());
    ASSERT_OK(db_.query("UPDATE t SET r = 1 WHERE id = 1").run());
    ASSERT_OK(connection_->commit());
  }
  EXPECT_FALSE(*connection_->begin_with(TransactionKind::kWrite, *bound("SELECT id FROM t WHERE id = ?", 9)));
  connection_->rollback();
}

TEST_F(PostgresTransactions, BeginWithAStatementThatFailsLeavesNothingOpen) {
  EXPECT_FALSE(connection_->begin_with(TransactionKind::kWrite, *bound("SELECT id FROM nowhere WHERE id = ?", 1)));
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_FALSE(connection_->broken());
  EXPECT_EQ(**db_.integer("SELECT count(*) FROM t"), 0);
}

TEST_F(PostgresTransactions, SeveralStatementsGoTogether) {
  std::vector<PostgresStatement*> all{bound(kInsert, 1), bound("SELECT count(*) + ? FROM t", 10),
                                      bound("DELETE FROM t WHERE id < ?", 5)};
  ASSERT_OK(connection_->run_together(all));
  ASSERT_TRUE(*all[1]->step());
  EXPECT_EQ(all[1]->integer(0), 11);
  EXPECT_EQ(db_.changes(), 1);
  EXPECT_FALSE(*all[0]->step());
  EXPECT_EQ(rows(), "0");
}

TEST_F(PostgresTransactions, TogetherIsAllOrNothing) {
  ask_server("INSERT INTO t (id) VALUES (2)");
  const std::vector<PostgresStatement*> all{bound(kInsert, 1), bound("INSERT INTO t (id) VALUES (? + 0)", 2),
                                            bound("DELETE FROM t WHERE id < ?", 5)};
  EXPECT_FALSE(connection_->run_together(all));
  EXPECT_EQ(connection_->sqlstate(), "23505");
  EXPECT_EQ(rows(), "1");
  ASSERT_OK(connection_->run_together({&all[2], 1}));
  EXPECT_EQ(rows(), "0");
}

TEST_F(PostgresTransactions, StatementsAndTheirCommitAreOneTrip) {
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  auto* insert = bound(kInsert, 1);
  ASSERT_OK(connection_->commit_with({&insert, 1}));
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_EQ(rows(), "1");

  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  ASSERT_OK(db_.query(kInsert).bind(std::int64_t{2}).run());
  insert = bound(kInsert, 1);
  EXPECT_FALSE(connection_->commit_with({&insert, 1}));
  EXPECT_FALSE(connection_->commit_in_doubt());
  EXPECT_TRUE(db_.in_transaction());
  connection_->rollback();
  EXPECT_EQ(rows(), "1");
}

class PostgresCopy : public PostgresTransactions {
 protected:
  static constexpr std::string_view kCopy = "COPY t (id, r, s, b) FROM STDIN (FORMAT binary)";
  void add(std::int64_t id, std::string_view text = "text") {
    rows_.begin_row(4);
    rows_.add(id);
    rows_.add(static_cast<double>(id) / 4);
    rows_.add(text);
    id % 2 == 0 ? rows_.add_null() : rows_.add(std::span<const std::uint8_t>(bytes_));
  }
  CopyBuffer rows_;
  std::vector<std::uint8_t> bytes_{0, 255, 10};
};

TEST_F(PostgresCopy, RowsComeIn) {
  ASSERT_OK(connection_->begin(TransactionKind::kWrite));
  for (std::int64_t id = 1; id <= 20'000; ++id)
    add(id, "it's a\tlong \\ text, so that there are several pieces to send");
  EXPECT_EQ(rows_.rows(), 20'000U);
  ASSERT_OK(connection_->copy_in(kCopy, *rows_.finish()));
  EXPECT_EQ(db_.changes(), 20'000);
  ASSERT_OK(connection_->commit());
  EXPECT_EQ(ask_server("SELECT id, r, s, b FROM t WHERE id = 3")[0],
            (std::vector<std::string>{"3", "0.75", "it's a\tlong \\ text, so that there are several pieces to send",
                                      "\\x00ff0a"}));
  EXPECT_EQ(ask_server("SELECT count(*), sum(id), count(b) FROM t")[0],
            (std::vector<std::string>{"20000", "200010000", "10000"}));
  rows_.clear();
  ASSERT_OK(connection_->copy_in(kCopy, *rows_.finish()));
  EXPECT_EQ(db_.changes(), 0);
}

TEST_F(PostgresCopy, ARowThatIsRefusedRefusesAll) {
  for (std::int64_t id = 1; id <= 20'000; ++id) add(id == 100 ? 1 : id);
  const auto done = connection_->copy_in(kCopy, *rows_.finish());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kStoreUnavailable);
  EXPECT_EQ(connection_->sqlstate(), "23505");
  EXPECT_FALSE(connection_->broken());
  EXPECT_EQ(**db_.integer("SELECT count(*) FROM t"), 0);
}

TEST_F(PostgresCopy, WhatIsNoCopyIsRefused) {
  EXPECT_FALSE(connection_->copy_in("COPY nowhere FROM STDIN (FORMAT binary)", *rows_.finish()));
  EXPECT_FALSE(connection_->copy_in("SELECT 1", *rows_.finish()));
  EXPECT_FALSE(connection_->broken());
  EXPECT_FALSE(connection_->copy_in(kCopy, std::string_view("no rows at all, but long enough")));
  EXPECT_FALSE(connection_->broken());
  ASSERT_OK(db_.query("SELECT 1").run());
  rows_.clear();
  add(1, std::string_view("a\0b", 3));
  EXPECT_EQ(rows_.finish().error().code, ErrorCode::kInternal);
}

TEST_F(PostgresCopy, ACopyWithoutDataEndsTheConnection) {
  const auto done = connection_->execute(kCopy);
  ASSERT_FALSE(done);
  EXPECT_TRUE(connection_->broken());
  EXPECT_THAT(connection_->execute("SELECT 1").error().detail, HasSubstr("lost"));
}

}  // namespace
}  // namespace detection::store::postgres
