// Statements and their values, against a real server.

#include "store/postgres/postgres_connection.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "store/postgres/postgres_fixture.hpp"

namespace detection::store::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::words;
using Bytes = std::vector<std::uint8_t>;
using Strings = std::vector<std::string>;

constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

std::span<const std::uint8_t> view(const Bytes& bytes) {
  return bytes;
}

class PostgresStatements : public testing::OneServer {
 protected:
  void make() override {
    OneServer::make();
    ASSERT_OK(
        db_.execute("CREATE TABLE t (id bigint PRIMARY KEY, r double precision, s text, b bytea);"
                    "CREATE TABLE small (n integer CHECK (n < 10), of bigint REFERENCES t)"));
  }
  std::int64_t number(std::string_view sql) {
    auto found = db_.integer(sql);
    EXPECT_TRUE(found.has_value()) << words(found);
    return found && *found ? **found : -1;
  }
};

TEST_F(PostgresStatements, ValuesComeBackAsTheyWent) {
  Bytes every(256);
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::uint8_t>(i);
  const std::vector<std::int64_t> integers{0, 1, -1, kLeast, kMost, 0x0102030405060708};
  const std::vector<double> reals{0.0,
                                  -0.0,
                                  0.1,
                                  -1.5e300,
                                  std::numeric_limits<double>::denorm_min(),
                                  std::numeric_limits<double>::infinity(),
                                  std::bit_cast<double>(0x7ff8000000000123ULL)};
  const Strings texts{"", "a?b", "it's \"quoted\" \\ $1", "ünï-çødé \xF0\x9F\x9B\xB0", std::string(100'000, 'x')};
  for (const auto n : integers)
    for (const auto r : reals)
      for (const auto& s : texts) {
        auto q = db_.query("SELECT ?::bigint, ?::double precision, ?::text, ?::bytea");
        q.bind(n).bind(r).bind(std::string_view(s)).bind(view(every));
        const auto row = q.step();
        ASSERT_OK(row);
        ASSERT_TRUE(*row);
        EXPECT_EQ(q.integer(0), n);
        EXPECT_EQ(std::bit_cast<std::uint64_t>(q.real(1)), std::bit_cast<std::uint64_t>(r));
        EXPECT_EQ(q.text(2), s);
        EXPECT_TRUE(std::ranges::equal(q.bytes(3), every));
        // As SQLite does: each gives the bytes of the other.
        EXPECT_EQ(q.bytes(2).size(), s.size());
        EXPECT_EQ(q.text(3).size(), every.size());
        EXPECT_FALSE(*q.step());
        EXPECT_FALSE(*q.step());
      }
}

TEST_F(PostgresStatements, EmptyIsNotNull) {
  auto q = db_.query("SELECT ?::text, ?::bytea, ?::text, ?::bigint");
  q.bind(std::string_view{}).bind(std::span<const std::uint8_t>{}).bind_null();  // the last one is not bound at all
  ASSERT_OK(q.step());
  EXPECT_FALSE(q.is_null(0));
  EXPECT_FALSE(q.is_null(1));
  EXPECT_TRUE(q.is_null(2));
  EXPECT_TRUE(q.is_null(3));
  EXPECT_EQ(q.text(2), "");
  EXPECT_EQ(q.integer(3), 0);
}

TEST_F(PostgresStatements, ResultsOfOtherTypesAreRead) {
  auto q = db_.query_once(
      "SELECT true, false, 7::smallint, -7::integer, 9.75::real, 'x'::varchar(5), 'y'::name,"
      " '01020304-0506-0708-090a-0b0c0d0e0f10'::uuid, 4000000000::oid, '[1]'::json, 'z'::\"char\", 'w'");
  ASSERT_OK(q.step());
  EXPECT_EQ(q.integer(0), 1);
  EXPECT_EQ(q.integer(1), 0);
  EXPECT_EQ(q.integer(2), 7);
  EXPECT_EQ(q.integer(3), -7);
  EXPECT_EQ(q.real(3), -7.0);
  EXPECT_EQ(q.real(4), 9.75);
  EXPECT_EQ(q.integer(4), 9);
  EXPECT_EQ(q.text(5), "x");
  EXPECT_EQ(q.text(6), "y");
  EXPECT_EQ(q.bytes(7).size(), 16U);
  EXPECT_EQ(q.bytes(7)[15], 0x10);
  EXPECT_EQ(q.integer(8), 4'000'000'000);
  EXPECT_EQ(q.text(9), "[1]");
  EXPECT_EQ(q.text(10), "z");
  EXPECT_EQ(q.text(11), "w");
}

TEST_F(PostgresStatements, NumericIsReadExactly) {
  const std::vector<std::pair<std::string, std::int64_t>> cases{{"0", 0},
                                                                {"1", 1},
                                                                {"-1", -1},
                                                                {"10000", 10'000},
                                                                {"100000000", 100'000'000},
                                                                {"12345678901234567", 12'345'678'901'234'567},
                                                                {"9223372036854775807", kMost},
                                                                {"-9223372036854775808", kLeast},
                                                                {"9223372036854775808", kMost},
                                                                {"-9223372036854775809", kLeast},
                                                                {"1e40", kMost},
                                                                {"-1e40", kLeast},
                                                                {"0.5", 0},
                                                                {"-99999.9", -99'999},
                                                                {"'NaN'", 0},
                                                                {"'Infinity'", kMost},
                                                                {"'-Infinity'", kLeast}};
  for (const auto& [text, value] : cases) EXPECT_EQ(number("SELECT " + text + "::numeric"), value) << text;
  // What sum() over bigint gives.
  EXPECT_EQ(number("SELECT sum(n) FROM (VALUES (9223372036854775807::bigint), (-7)) v(n)"), kMost - 7);
  for (const auto* text : {"0", "0.25", "-1234567.5", "1e20", "0.00001"}) {
    auto q = db_.query_once("SELECT " + std::string(text) + "::numeric");
    ASSERT_OK(q.step());
    EXPECT_DOUBLE_EQ(q.real(0), std::stod(text));
  }
}

TEST_F(PostgresStatements, RepeatedParametersAreOne) {
  auto q = db_.query("SELECT ?2::text || ?1 || ?2, '?'");
  q.bind(std::string_view("b")).bind(std::string_view("a"));
  ASSERT_OK(q.step());
  EXPECT_EQ(q.text(0), "aba");
  EXPECT_EQ(q.text(1), "?");
}

TEST_F(PostgresStatements, ATypeThatChangesIsPreparedAnew) {
  const std::string sql = "INSERT INTO t (id, r) VALUES (?, ?)";
  const auto prepared = [&] {
    return number("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'");
  };
  ASSERT_OK(db_.query(sql).bind(std::int64_t{1}).bind_null().run());
  EXPECT_EQ(prepared(), 1);
  ASSERT_OK(db_.query(sql).bind(std::int64_t{2}).bind(2.5).run());
  EXPECT_EQ(prepared(), 2);
  // A NULL is of any type, so no more is needed for these two.
  ASSERT_OK(db_.query(sql).bind(std::int64_t{3}).bind_null().run());
  ASSERT_OK(db_.query(sql).bind(std::int64_t{4}).bind(4.5).run());
  EXPECT_EQ(prepared(), 2);
  ASSERT_OK(db_.query(sql).bind(std::int64_t{5}).bind(std::int64_t{5}).run());
  EXPECT_EQ(prepared(), 3);
  EXPECT_THAT(
      ask_server("SELECT id, r FROM t ORDER BY id"),
      ElementsAre(Strings{"1", ""}, Strings{"2", "2.5"}, Strings{"3", ""}, Strings{"4", "4.5"}, Strings{"5", "5"}));
}

TEST_F(PostgresStatements, ComposedTextsAreNotKept) {
  for (int i = 0; i < 3; ++i) {
    auto q = db_.query_once("SELECT " + std::to_string(i) + "::bigint + ?");
    q.bind(std::int64_t{10});
    ASSERT_OK(q.step());
    EXPECT_EQ(q.integer(0), 10 + i);
  }
  EXPECT_EQ(number("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%+ $1'"), 0);
}

TEST_F(PostgresStatements, ATableThatWasChangedMeanwhileIsAskedAgain) {
  ASSERT_OK(db_.query("SELECT * FROM t").run());
  ask_server("ALTER TABLE t ADD COLUMN more bigint");
  EXPECT_FALSE(db_.query("SELECT * FROM t").run());
  EXPECT_EQ(connection_->sqlstate(), "0A000");
  ASSERT_OK(db_.query("SELECT * FROM t").run());
}

TEST_F(PostgresStatements, ChangesAreThoseOfTheLastWriting) {
  ASSERT_OK(db_.execute("INSERT INTO t (id) SELECT generate_series(1, 7)"));
  EXPECT_EQ(db_.changes(), 7);
  ASSERT_OK(db_.query("UPDATE t SET r = 1 WHERE id > ?").bind(std::int64_t{4}).run());
  EXPECT_EQ(db_.changes(), 3);
  ASSERT_OK(db_.query("SELECT * FROM t").run());
  EXPECT_EQ(db_.changes(), 3);
  ASSERT_OK(db_.query("DELETE FROM t WHERE id > ?").bind(std::int64_t{100}).run());
  EXPECT_EQ(db_.changes(), 0);
  auto q = db_.query("INSERT INTO t (id) VALUES (?) ON CONFLICT DO NOTHING RETURNING id");
  q.bind(std::int64_t{1});
  ASSERT_OK(q.step());
  EXPECT_EQ(db_.changes(), 0);
}

TEST_F(PostgresStatements, ANulNeverGoesOut) {
  ASSERT_OK(db_.execute("BEGIN"));
  const std::string_view text("a\0b", 3);
  const auto done = db_.query("INSERT INTO t (id, s) VALUES (1, ?)").bind(text).run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kInternal);
  // The server has not seen it: the transaction goes on, and so does the statement.
  ASSERT_OK(db_.query("INSERT INTO t (id, s) VALUES (1, ?)").bind(std::string_view("a")).run());
  ASSERT_OK(db_.execute("COMMIT"));
  EXPECT_FALSE(db_.query(std::string_view("SELECT 1\0", 9)).step());
}

TEST_F(PostgresStatements, AParameterThatIsNotThereIsRefused) {
  for (const int wrong : {0, 2, -1}) {
    auto statement = connection_->prepare("SELECT ?::bigint");
    ASSERT_OK(statement);
    (*statement)->bind(wrong, std::int64_t{1});
    const auto row = (*statement)->step();
    ASSERT_FALSE(row);
    EXPECT_EQ(row.error().code, ErrorCode::kInternal);
    (*statement)->reset();
  }
}

TEST_F(PostgresStatements, ConstraintsRefuseWithoutNamesAndValues) {
  ASSERT_OK(db_.execute("INSERT INTO t (id, s) VALUES (1, 'secret')"));
  const auto expect = [&](const std::string& sql, std::string_view sqlstate, ErrorCode code = ErrorCode::kInternal) {
    const auto done = db_.execute(sql);
    ASSERT_FALSE(done) << sql;
    EXPECT_EQ(done.error().code, code) << done.error().detail;
    EXPECT_EQ(connection_->sqlstate(), sqlstate);
    EXPECT_EQ(connection_->trouble(), Trouble::kRefused);
    for (const auto* word : {"secret", "small", "t_pkey", "77"}) EXPECT_THAT(done.error().detail, Not(HasSubstr(word)));
    EXPECT_FALSE(connection_->broken());
  };
  // No fault of a record.
  expect("INSERT INTO t (id, s) VALUES (1, 'secret')", "23505", ErrorCode::kStoreUnavailable);
  expect("INSERT INTO small (of) VALUES (77)", "23503", ErrorCode::kStoreUnavailable);
  expect("SELECT secret", "42703", ErrorCode::kStoreUnavailable);
  expect("DO $$ BEGIN RAISE EXCEPTION 'secret'; END $$", "P0001", ErrorCode::kStoreUnavailable);
  expect("INSERT INTO t (id) VALUES (NULL)", "23502");
  expect("INSERT INTO small (n) VALUES (77)", "23514");
  expect("INSERT INTO small (n) VALUES (77777777777)", "22003");
  expect("INSERT INTO small (n) VALUES ('secret')", "22P02");
}

TEST_F(PostgresStatements, LargeValuesAndResultsPass) {
  const Bytes large(20'000'000, 0x5a);
  auto q = db_.query("SELECT ?::bytea, generate_series(1, 2)");
  q.bind(view(large));
  ASSERT_OK(q.step());
  EXPECT_TRUE(std::ranges::equal(q.bytes(0), large));
  auto many = db_.query("SELECT n FROM generate_series(1, 200000) g(n)");
  std::int64_t sum = 0;
  while (*many.step()) sum += many.integer(0);
  EXPECT_EQ(sum, 200'000LL * 200'001 / 2);
}

TEST_F(PostgresStatements, ArraysAreBound) {
  ArrayBuffer ids(Element::kInt8), reals(Element::kFloat8), texts(Element::kText), blobs(Element::kBytea);
  const auto insert = connection_->statement("INSERT INTO t (id, r, s, b) SELECT * FROM unnest(?, ?, ?, ?)");
  ASSERT_OK(insert);
  const auto run = [&] {
    (*insert)->reset();
    (*insert)->bind(1, ids);
    (*insert)->bind(2, reals);
    (*insert)->bind(3, texts);
    (*insert)->bind(4, blobs);
    return (*insert)->step();
  };
  ASSERT_OK(run());  // empty ones
  EXPECT_EQ(db_.changes(), 0);
  for (std::int64_t i = 1; i <= 3; ++i) {
    ids.add(i);
    reals.add(static_cast<double>(i) / 2);
    i == 2 ? texts.add_null() : texts.add(std::string_view("it's {a,\"b\"}"));
    blobs.add(view({0, 1, 255}));
  }
  ASSERT_OK(run());
  EXPECT_EQ(db_.changes(), 3);
  EXPECT_THAT(ask_server("SELECT id, r, s, b FROM t ORDER BY id"),
              ElementsAre(Strings{"1", "0.5", "it's {a,\"b\"}", "\\x0001ff"}, Strings{"2", "1", "", "\\x0001ff"},
                          Strings{"3", "1.5", "it's {a,\"b\"}", "\\x0001ff"}));
  ids.clear();
  ids.add(std::int64_t{3});
  ids.add(std::int64_t{99});
  ids.add_null();
  const auto any = connection_->statement("SELECT id FROM t WHERE id = ANY($1)");
  (*any)->bind(1, ids);
  ASSERT_OK((*any)->step());
  EXPECT_EQ((*any)->rows(), 1);
  EXPECT_EQ((*any)->integer(0), 3);

  ArrayBuffer uuids(Element::kUuid);
  uuids.add(view(Bytes(16, 0xab)));
  const auto uuid = connection_->statement("SELECT u::text FROM unnest(?) g(u)");
  (*uuid)->bind(1, uuids);
  ASSERT_OK((*uuid)->step());
  EXPECT_EQ((*uuid)->text(0), "abababab-abab-abab-abab-abababababab");

  texts.add(std::string_view("\0", 1));
  (*any)->reset();
  (*any)->bind(1, texts);
  EXPECT_EQ((*any)->step().error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace detection::store::postgres
