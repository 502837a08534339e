// The PostgreSQL engine under the contract of every store, each test in a database of its own. With
// DETECTION_POSTGRES_LOG set the server's log is printed at the end: it names the statements that failed.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "contract/store_contract.hpp"
#include "integration/support/postgres_server.hpp"
#include "store/postgres/engine.hpp"

namespace detection::store::testing {
namespace {

using integration::PostgresServer;

/// One server for the program; a database that is migrated once is copied for each place.
class Server {
 public:
  static Server& get() {
    static Server server;
    return server;
  }
  std::string new_database() {
    auto name = "place_" + std::to_string(++made_);
    server_.create_database(name, "migrated");
    return server_.url(name);
  }
  std::vector<std::vector<std::string>> ask_newest(const std::string& sql) {
    return server_.run_sql(sql, "place_" + std::to_string(made_));
  }

 private:
  Server() {
    server_.create_database("migrated");
    const auto done = postgres::migrate({.url = server_.url("migrated")});
    if (!done) throw std::runtime_error("migrate: " + done.error().detail);
  }
  ~Server() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing writes the environment here
    if (std::getenv("DETECTION_POSTGRES_LOG") != nullptr) std::puts(server_.log().c_str());
  }
  PostgresServer server_{{}};
  int made_ = 0;
};

class PostgresPlace final : public Place {
 public:
  Result<std::unique_ptr<Store>> open() override { return postgres::open({.url = url_}); }

 private:
  std::string url_ = Server::get().new_database();
};

std::vector<Engine> engines() {
  if (PostgresServer::unavailable()) return {};
  return {Engine{.name = "postgres", .make_place = [] { return std::make_unique<PostgresPlace>(); }, .shared = true}};
}

TEST(PostgresContract, CanBeTestedHere) {
  if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *why;
}

// The plans of a connection are made while the tables are empty and kept while they grow; nobody has analysed them yet.
TEST(PostgresContract, ACommitReadsNoWholeTableOfANewDatabase) {
  if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *why;
  PostgresPlace place;
  {
    auto store = place.open();
    ASSERT_TRUE(store) << store.error().detail;
    for (std::uint64_t round = 0; round < 150; ++round) {
      std::vector<Acceptance> items;
      for (std::uint64_t i = 1; i <= 20; ++i) items.push_back(sample(round * 20 + i));
      ASSERT_FALSE(commit(**store, std::move(items))->error);
    }
  }  // the server counts what a connection read when that ends
  const std::string rows =
      "SELECT sum(seq_tup_read), count(*) FROM pg_stat_user_tables WHERE relname IN ('detection', 'audit')";
  std::vector<std::vector<std::string>> read;
  for (int look = 0; look < 100 && (read.empty() || read[0][0] == "0"); ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    read = Server::get().ask_newest(rows);
  }
  ASSERT_EQ(read[0][1], "2");
  EXPECT_LT(std::stol(read[0][0]), 10'000) << "each of 150 commits read all that was there: about 220,000 rows";
}

// As after a failover to a server whose clock is behind.
TEST(PostgresContract, ALeaseThatIsLongerThanLeasesAreEndsInTime) {
  if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *why;
  PostgresPlace place;
  {
    auto store = place.open();
    ASSERT_TRUE(store) << store.error().detail;
    ASSERT_TRUE((*store)->open_sink("tak"));
    std::vector<Acceptance> items;
    items.push_back(sample(1));
    ASSERT_FALSE(commit(**store, std::move(items))->error);
    ASSERT_TRUE(integration::wait_until(std::chrono::seconds(30), [&] {
      const auto claim = (*store)->claim("tak", 1);
      return claim && !claim->items.empty();
    }));
  }
  Server::get().ask_newest(
      "UPDATE sink_lease SET holder = 'a killed one', until = clock_timestamp() + interval '10 minutes'");
  auto store = place.open();
  ASSERT_TRUE(store) << store.error().detail;
  ASSERT_TRUE((*store)->open_sink("tak"));
  EXPECT_TRUE(integration::wait_until(std::chrono::seconds(30), [&] {
    const auto claim = (*store)->claim("tak", 1);
    return claim && !claim->items.empty();
  }));
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, ::testing::ValuesIn(engines()), engine_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

}  // namespace
}  // namespace detection::store::testing
