#pragma once
// For the tests of this driver: a server for all cases of a process, and short words.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "integration/support/postgres_server.hpp"
#include "store/postgres/postgres_connection.hpp"
#include "store/sql/connection.hpp"

namespace detection::store::postgres::testing {

using integration::PostgresOptions;
using integration::PostgresServer;

template <class T>
std::string words(const Result<T>& result) {
  return result ? "no error" : result.error().detail;
}

#define ASSERT_OK(...)                                                                \
  do {                                                                                \
    const auto& ok_result = (__VA_ARGS__);                                            \
    ASSERT_TRUE(ok_result.has_value()) << store::postgres::testing::words(ok_result); \
  } while (false)

/// Skips where there is no PostgreSQL.
class NeedsPostgres : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *why;
    make();
  }
  virtual void make() {}
};

/// One server for the process, a database for the case.
class OneServer : public NeedsPostgres {
 public:
  static void TearDownTestSuite() { server_.reset(); }

 protected:
  void make() override {
    if (!server_) server_ = std::make_unique<PostgresServer>(PostgresOptions{});
    static int count = 0;
    name_ = "case" + std::to_string(++count);
    server().create_database(name_);
    options_.url = server().url(name_);
    // However busy the machine is.
    options_.connect_time = options_.statement_time = std::chrono::seconds(30);
    reconnect();
  }
  void reconnect() {
    auto made = PostgresConnection::connect(options_);
    ASSERT_OK(made);
    connection_ = made->get();
    db_ = sql::Database(std::move(*made));
  }
  PostgresServer& server() { return *server_; }
  std::vector<std::vector<std::string>> ask_server(const std::string& sql) { return server().run_sql(sql, name_); }

  ConnectOptions options_;
  std::string name_;
  PostgresConnection* connection_ = nullptr;
  sql::Database db_;

 private:
  static inline std::unique_ptr<PostgresServer> server_;
};

}  // namespace detection::store::postgres::testing
