// The PostgreSQL engine under the contract of every store, each test in a database of its own. With
// DETECTION_POSTGRES_LOG set the server's log is printed at the end: it names the statements that failed.

#include <cstdio>
#include <cstdlib>

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

 private:
  Server() {
    server_.create_database("migrated");
    const auto done = postgres::migrate({.url = server_.url("migrated")});
    if (!done) throw std::runtime_error("migrate: " + done.error().detail);
  }
  ~Server() {
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

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, ::testing::ValuesIn(engines()), engine_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

}  // namespace
}  // namespace detection::store::testing
