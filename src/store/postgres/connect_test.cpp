// How a connection comes about, and how it is refused, against a real server.

#include <fstream>

#include "store/postgres/postgres_fixture.hpp"
#include "tak/test_certificates.hpp"

namespace detection::store::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::PostgresOptions;
using testing::PostgresServer;

struct Attempt {
  ErrorCode code{};
  Trouble trouble{};
  std::string text;
  bool connected = false;
};

Attempt attempt(ConnectOptions options) {
  options.connect_time = std::chrono::seconds(30);  // however busy the machine is
  Attempt result;
  auto made = PostgresConnection::connect(options, &result.trouble);
  result.connected = made.has_value();
  if (!made) {
    result.code = made.error().code;
    result.text = made.error().detail;
  }
  return result;
}

TEST(PostgresUrl, ThatIsNoneIsTheConfigurationsFault) {
  for (const auto* url : {"", "secret", "postgresql://user:secret@host:port:port/x",
                          "postgresql://user:secret@h/d?secret=1", "host=h password='secret", "http://user:secret@h/d",
                          "postgresql://user:secret@h:secret/d", "postgresql://user:secret@h/d?sslmode=secret"}) {
    const auto result = attempt({.url = url});
    EXPECT_EQ(result.code, ErrorCode::kConfiguration) << url << ": " << result.text;
    EXPECT_EQ(result.trouble, Trouble::kConfiguration) << url;
    EXPECT_THAT(result.text, Not(HasSubstr("secret")));
  }
}

TEST(PostgresUrl, NobodyListens) {
  const auto port = integration::free_port();
  const auto result = attempt({.url = "postgresql://user:secret@127.0.0.1:" + std::to_string(port) + "/d"});
  EXPECT_EQ(result.code, ErrorCode::kStoreUnavailable);
  EXPECT_EQ(result.trouble, Trouble::kUnreachable);
  EXPECT_EQ(result.text, "the database cannot be reached: connection refused");
}

TEST(PostgresUrl, CredentialsStandOverIt) {
  const tak::testing::TemporaryFolder folder;
  ConnectOptions options{.url = "postgresql://from:url@host/db?sslmode=require", .credentials = folder.path()};
  auto parameters = connection_parameters(options);
  ASSERT_OK(parameters);
  EXPECT_EQ(parameters->at("user"), "from");
  EXPECT_EQ(parameters->at("password"), "url");
  EXPECT_EQ(parameters->at("sslmode"), "require");
  folder.write("username", " \nalice\r\n");
  folder.write("password", "p w\n");
  parameters = connection_parameters(options);
  EXPECT_EQ(parameters->at("user"), "alice");
  EXPECT_EQ(parameters->at("password"), "p w");
  for (const auto& bad : {std::string(10'000, 'x'), std::string("a\0b", 3)}) {
    folder.write("password", bad);
    parameters = connection_parameters(options);
    ASSERT_FALSE(parameters);
    EXPECT_EQ(parameters.error().code, ErrorCode::kStoreUnavailable);
    EXPECT_THAT(parameters.error().detail, HasSubstr("the file password"));
  }
}

class PostgresSession : public testing::OneServer {};

TEST_F(PostgresSession, HasItsSettings) {
  ask_server("ALTER DATABASE " + name_ + " SET synchronous_commit = off");
  ask_server("ALTER DATABASE " + name_ + " SET search_path = elsewhere");
  ask_server("ALTER DATABASE " + name_ + " SET idle_session_timeout = 60000");
  options_.application_name = "a test";
  options_.statement_time = std::chrono::milliseconds(4'000);
  reconnect();
  const std::vector<std::pair<std::string, std::string>> wanted{{"synchronous_commit", "on"},
                                                                {"search_path", "public, pg_temp"},
                                                                {"statement_timeout", "4500ms"},
                                                                {"lock_timeout", "3s"},
                                                                {"idle_in_transaction_session_timeout", "2s"},
                                                                {"idle_session_timeout", "0"},
                                                                {"client_encoding", "UTF8"},
                                                                {"TimeZone", "UTC"},
                                                                {"application_name", "a test"},
                                                                {"transaction_isolation", "read committed"},
                                                                {"standard_conforming_strings", "on"},
                                                                {"client_connection_check_interval", "500ms"}};
  for (const auto& [name, value] : wanted) EXPECT_EQ(**db_.text("SHOW " + name), value) << name;
}

TEST_F(PostgresSession, AStrongerCommitStays) {
  ask_server("ALTER DATABASE " + name_ + " SET synchronous_commit = remote_apply");
  reconnect();
  EXPECT_EQ(**db_.text("SHOW synchronous_commit"), "remote_apply");
}

TEST_F(PostgresSession, ThatOnlyReadsRefusesToWrite) {
  options_.read_only = true;
  reconnect();
  for (const auto kind : {sql::TransactionKind::kRead, sql::TransactionKind::kWrite}) {
    ASSERT_OK(connection_->begin(kind));
    EXPECT_FALSE(db_.execute("CREATE TABLE t ()"));
    EXPECT_EQ(connection_->trouble(), Trouble::kReadOnly);
    connection_->rollback();
  }
  EXPECT_FALSE(connection_->broken());
}

TEST_F(PostgresSession, OfAReadOnlyDatabase) {
  const auto make_read_only = [&](const std::string& value) {
    ask_server("ALTER DATABASE " + name_ + " SET default_transaction_read_only = " + value);
  };
  make_read_only("on");
  const auto result = attempt(options_);
  EXPECT_EQ(result.code, ErrorCode::kStoreUnavailable);
  EXPECT_EQ(result.trouble, Trouble::kReadOnly);
  EXPECT_THAT(result.text, HasSubstr("the database is read-only"));
  options_.read_only = true;
  EXPECT_TRUE(attempt(options_).connected);
  options_.read_only = false;
  server().run_sql("ALTER DATABASE " + name_ + " RESET ALL");
  EXPECT_TRUE(attempt(options_).connected);
}

TEST_F(PostgresSession, OfADatabaseThatBecomesReadOnly) {
  server().run_sql("ALTER SYSTEM SET default_transaction_read_only = on");
  server().run_sql("SELECT pg_reload_conf()");
  // The session that is open sees it some time after.
  EXPECT_TRUE(integration::wait_until(std::chrono::seconds(30), [&] {
    if (!connection_->begin(sql::TransactionKind::kWrite)) return true;
    const bool refused = !db_.execute("CREATE TABLE IF NOT EXISTS t ()");
    connection_->rollback();
    return refused;
  }));
  EXPECT_EQ(connection_->trouble(), Trouble::kReadOnly);
  EXPECT_TRUE(connection_->broken());
  EXPECT_FALSE(db_.query("SELECT 1").run());
  EXPECT_EQ(attempt(options_).trouble, Trouble::kReadOnly);
  server().run_sql("ALTER SYSTEM RESET default_transaction_read_only");
  server().run_sql("SELECT pg_reload_conf()");
  EXPECT_TRUE(integration::wait_until(std::chrono::seconds(30), [&] { return attempt(options_).connected; }));
}

TEST_F(PostgresSession, OfADatabaseThatIsNot) {
  options_.url = server().url("nowhere");
  const auto result = attempt(options_);
  EXPECT_EQ(result.code, ErrorCode::kStoreUnavailable);
  EXPECT_EQ(result.trouble, Trouble::kConfiguration);
  EXPECT_THAT(result.text, Not(HasSubstr("nowhere")));
}

TEST_F(PostgresSession, WithoutARightIsRefused) {
  ask_server("CREATE TABLE mine (n bigint)");
  server().run_sql("DO $$ BEGIN CREATE ROLE weak LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
  options_.url = server().url(name_, "weak");
  reconnect();
  const auto done = db_.execute("SELECT * FROM mine");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kStoreUnavailable);
  EXPECT_THAT(done.error().detail, HasSubstr("no right"));
  EXPECT_THAT(done.error().detail, Not(HasSubstr("mine")));
}

class PostgresPasswords : public testing::NeedsPostgres {
 protected:
  void make() override {
    server_ = std::make_unique<PostgresServer>(PostgresOptions{.passwords = true});
    set_password("first p@ss");
  }
  void set_password(const std::string& password) {
    server_->run_sql("DROP ROLE IF EXISTS alice; CREATE ROLE alice LOGIN PASSWORD '" + password + "'");
  }
  std::unique_ptr<PostgresServer> server_;
};

TEST_F(PostgresPasswords, InTheUrl) {
  EXPECT_TRUE(attempt({.url = server_->url("postgres", "alice", "first p@ss")}).connected);
  for (const auto& url : {server_->url("postgres", "alice", "wrong_secret"),
                          server_->url("postgres", "bob", "wrong_secret"), server_->url("postgres", "alice")}) {
    const auto result = attempt({.url = url});
    EXPECT_EQ(result.code, ErrorCode::kStoreUnavailable);
    EXPECT_EQ(result.trouble, Trouble::kCredentials) << result.text;
    for (const auto* word : {"secret", "alice", "bob", "127.0.0.1"}) EXPECT_THAT(result.text, Not(HasSubstr(word)));
  }
}

TEST_F(PostgresPasswords, AreReadAgainAtEachConnect) {
  const tak::testing::TemporaryFolder folder;
  const ConnectOptions options{.url = server_->url("postgres", "nobody", "wrong"), .credentials = folder.path()};
  folder.write("username", "alice\n");
  folder.write("password", "first p@ss\n");
  EXPECT_TRUE(attempt(options).connected);
  set_password("second");
  EXPECT_EQ(attempt(options).trouble, Trouble::kCredentials);
  folder.write("password", "second");
  EXPECT_TRUE(attempt(options).connected);
}

class PostgresTls : public testing::NeedsPostgres {
 protected:
  void make() override {
    const auto identity = authority_.server("localhost");
    server_ = std::make_unique<PostgresServer>(
        PostgresOptions{.certificate = identity.certificate, .key = identity.key, .only_tls = true});
    folder_.write("right.pem", authority_.certificate());
    folder_.write("wrong.pem", tak::testing::TestAuthority("another").certificate());
  }
  std::string url(const std::string& query, const std::string& host = "") const {
    return server_->url() + "?" + query + (host.empty() ? "" : "&hostaddr=127.0.0.1&host=" + host);
  }
  std::string root(const std::string& file) const { return "&sslrootcert=" + (folder_.path() / file).string(); }
  tak::testing::TestAuthority authority_{"of the database"};
  tak::testing::TemporaryFolder folder_;
  std::unique_ptr<PostgresServer> server_;
};

TEST_F(PostgresTls, ChecksTheServersCertificate) {
  EXPECT_TRUE(attempt({.url = url("sslmode=verify-full" + root("right.pem"), "localhost")}).connected);
  EXPECT_TRUE(attempt({.url = url("sslmode=verify-full" + root("right.pem"))}).connected);
  const auto refused = [&](const std::string& query, const std::string& host, const std::string& words) {
    const auto result = attempt({.url = url(query, host)});
    EXPECT_EQ(result.code, ErrorCode::kStoreUnavailable) << query;
    EXPECT_EQ(result.trouble, Trouble::kCertificate) << query << ": " << result.text;
    EXPECT_THAT(result.text, HasSubstr(words));
    EXPECT_THAT(result.text, Not(HasSubstr(folder_.path().string())));
  };
  refused("sslmode=verify-full" + root("wrong.pem"), "localhost", "no trusted authority");
  refused("sslmode=verify-ca" + root("wrong.pem"), "", "no trusted authority");
  refused("sslmode=verify-full" + root("right.pem"), "db.example", "another name");
  refused("sslmode=verify-full" + root("none.pem"), "", "cannot be read");
  // The server's own rule: no one without TLS.
  EXPECT_EQ(attempt({.url = url("sslmode=disable")}).trouble, Trouble::kCredentials);
}

TEST_F(PostgresTls, IsSpokenByTheSession) {
  auto made = PostgresConnection::connect(
      {.url = url("sslmode=verify-full" + root("right.pem")), .connect_time = std::chrono::seconds(30)});
  ASSERT_OK(made);
  sql::Database db(std::move(*made));
  EXPECT_EQ(**db.integer("SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"), 1);
  const std::vector<std::uint8_t> large(5'000'000, 7);
  auto q = db.query("SELECT ?::bytea");
  q.bind(std::span<const std::uint8_t>(large));
  ASSERT_OK(q.step());
  EXPECT_TRUE(std::ranges::equal(q.bytes(0), large));
}

TEST_F(PostgresSession, WithoutTlsIsRefusedWhereTlsIsWanted) {
  options_.url += "?sslmode=require";
  const auto result = attempt(options_);
  EXPECT_EQ(result.trouble, Trouble::kCertificate);
  EXPECT_EQ(result.text, "the database does not speak TLS");
}

}  // namespace
}  // namespace detection::store::postgres
