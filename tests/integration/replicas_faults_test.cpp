// A database that is slow, full, read-only, or does not let us in: each gives a clear line in the log and the right
// metric, loses no detection (they go to the spool), and is recovered from without a restart.

#include <gtest/gtest.h>

#include <sstream>

#include "integration/support/fast_sink.hpp"
#include "integration/support/peers.hpp"
#include "integration/support/replicas.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class DatabaseFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "NOT TESTED: " << *why;
    sink_.start();
  }

  void make(Replicas::Plan plan = {}) {
    if (!server_) server_ = std::make_unique<PostgresServer>(PostgresOptions{});
    plan.count = 1;
    plan.sinks = {{sink_.url()}};
    replicas_ = std::make_unique<Replicas>(*server_, plan);
  }
  Service& service() { return (*replicas_)[0]; }

  void post(std::size_t count) {
    auto client = service().client();
    for (std::size_t i = 0; i < count; ++i) {
      const auto answer = client.post("/api/v1/detections", detection_json(number_++));
      ASSERT_TRUE(answer) << "no answer\n" << replicas_->logs();
      ASSERT_TRUE(answer->status == 201 || answer->status == 202) << answer->body << "\n" << replicas_->logs();
      ids_.push_back(acknowledged_ids(*answer).front());
      if (answer->status == 202) {
        EXPECT_EQ(nlohmann::json::parse(answer->body).value("durability", ""), "spooled") << answer->body;
        ++spooled_;
      }
    }
  }
  void sql(const std::string& statement) { (void)server_->run_sql(statement, replicas_->database()); }
  /// So that what holds for new connections holds for all.
  void end_connections() {
    (void)server_->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" +
                           replicas_->database() + "'");
  }

  /// While it lasts, detections are spooled, and the log says why in one of these words.
  void expect_spooling(const std::vector<std::string>& words) {
    post(20);
    EXPECT_GT(spooled_, 0U) << "none went to the spool\n" << replicas_->logs();
    EXPECT_GT(service().metric("spool_size").value_or(0), 0);
    EXPECT_EQ(service().ready_status(), 200);
    EXPECT_TRUE(wait_until(seconds(5), [&] { return says(words); }))
        << "nothing in the log says '" << words.front() << "'\n"
        << replicas_->logs();
    auto client = service().client();
    const auto answer = client.get("/api/v1/detections/" + ids_.back());
    EXPECT_TRUE(answer && answer->status == 200) << "a spooled one is found where it was accepted";
  }
  void expect_recovery() {
    ASSERT_TRUE(replicas_->spools_empty(minutes(1))) << "the spool does not drain\n" << replicas_->logs();
    spooled_ = 0;
    EXPECT_TRUE(wait_until(seconds(10),
                           [&] {
                             spooled_ = 0;
                             post(1);
                             return HasFatalFailure() || spooled_ == 0;
                           }))
        << "detections still go to the spool\n"
        << replicas_->logs();
    const auto records = list_all(service());
    std::size_t lost = 0;
    for (const auto& id : ids_) lost += records.contains(id) ? 0 : 1;
    EXPECT_EQ(lost, 0U);
    EXPECT_TRUE(wait_until(minutes(1), [&] { return sink_.distinct() >= ids_.size(); }))
        << sink_.distinct() << " of " << ids_.size() << " reached the TAK server\n"
        << replicas_->logs();
    expect_audit_holds(*replicas_);
    EXPECT_EQ(service().log().find("geheim"), std::string::npos) << "a password in the log";
  }

  FastSink sink_;
  std::unique_ptr<PostgresServer> server_;
  std::unique_ptr<Replicas> replicas_;
  std::vector<std::string> ids_;
  std::size_t spooled_ = 0;
  std::uint64_t number_ = 0;

 private:
  [[nodiscard]] bool says(const std::vector<std::string>& words) {
    std::istringstream lines(service().log());
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object()) continue;
      const auto level = json.value("level", "");
      if (level != "warning" && level != "error") continue;
      for (const auto& word : words)
        if (line.find(word) != std::string::npos) return true;
    }
    return false;
  }
};

TEST_F(DatabaseFaults, OneThatStandsStill) {
  make();
  replicas_->start();
  post(5);
  server_->suspend();
  expect_spooling({"did not answer"});
  server_->resume();
  expect_recovery();
}

TEST_F(DatabaseFaults, OneThatIsSlow) {
  make();
  replicas_->start();
  post(5);
  sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN NEW; END';"
      "CREATE TRIGGER slow BEFORE INSERT ON detection EXECUTE FUNCTION slow()");
  expect_spooling({"did not answer"});
  sql("DROP TRIGGER slow ON detection");
  expect_recovery();
}

TEST_F(DatabaseFaults, OneWhoseDiskIsFull) {
  make();
  replicas_->start();
  post(5);
  sql("CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN RAISE EXCEPTION ''No space left on device'' USING ERRCODE = ''53100''; END';"
      "CREATE TRIGGER no_room BEFORE INSERT ON detection EXECUTE FUNCTION no_room()");
  expect_spooling({"no room is left"});
  sql("DROP TRIGGER no_room ON detection");
  expect_recovery();
}

TEST_F(DatabaseFaults, OneThatIsReadOnly) {
  make();
  replicas_->start();
  post(5);
  sql("ALTER DATABASE " + replicas_->database() + " SET default_transaction_read_only = on");
  end_connections();
  expect_spooling({"read-only"});
  sql("SET default_transaction_read_only = off; ALTER DATABASE " + replicas_->database() +
      " RESET default_transaction_read_only");
  end_connections();
  expect_recovery();
}

TEST_F(DatabaseFaults, OneWithoutItsTablesAsInTheMidstOfARestore) {
  make();
  replicas_->start();
  post(5);
  sql("ALTER TABLE detection RENAME TO detection_elsewhere");
  expect_spooling({"has not the tables"});
  sql("ALTER TABLE detection_elsewhere RENAME TO detection");
  expect_recovery();
}

TEST_F(DatabaseFaults, ARuleOfItsAdministratorThatForbidsWriting) {
  make();
  replicas_->start();
  post(5);
  sql("CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END'");
  sql("CREATE TRIGGER not_now BEFORE INSERT ON detection FOR EACH STATEMENT EXECUTE FUNCTION not_now()");
  expect_spooling({"a rule of the database forbids it"});
  sql("DROP TRIGGER not_now ON detection");
  expect_recovery();
}

TEST_F(DatabaseFaults, APasswordThatWasChanged) {
  const TempDir folder;
  write_file(folder.path() / "username", "postgres\n");
  write_file(folder.path() / "password", "geheim-1\n");
  PostgresOptions options;
  options.passwords = true;
  server_ = std::make_unique<PostgresServer>(options);
  (void)server_->run_sql("ALTER ROLE postgres PASSWORD 'geheim-1'");
  Replicas::Plan plan;
  plan.more = {"--database-credentials", folder.path().string()};
  plan.password = "geheim-1";
  make(plan);
  replicas_->start();
  post(5);
  (void)server_->run_sql("ALTER ROLE postgres PASSWORD 'geheim-2'");
  end_connections();
  expect_spooling({"refused the credentials"});
  write_file(folder.path() / "password", "geheim-2\n");
  replicas_->use_password("geheim-2");
  expect_recovery();
}

TEST_F(DatabaseFaults, ACertificateOfAnotherAuthority) {
  const Certificates ours, theirs("another");
  const TempDir folder;
  const auto authority = folder.path() / "ca.crt";
  write_file(authority, read_file(theirs.file("ca.crt")));
  PostgresOptions options;
  options.certificate = read_file(ours.file("server.crt"));
  options.key = read_file(ours.file("server.key"));
  server_ = std::make_unique<PostgresServer>(options);
  Replicas::Plan plan;
  plan.url_settings = "?sslmode=verify-ca&sslrootcert=" + authority.string();
  make(plan);
  // It starts all the same: what it takes is safe in the spool.
  replicas_->start();
  expect_spooling({"certificate"});
  write_file(authority, read_file(ours.file("ca.crt")));
  expect_recovery();
}

}  // namespace
}  // namespace detection::integration
