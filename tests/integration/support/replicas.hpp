#pragma once
// Several real services on one PostgreSQL, and what was posted to them: for tests of many replicas.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "integration/support/fault_gate.hpp"
#include "integration/support/postgres_server.hpp"
#include "integration/support/records.hpp"
#include "integration/support/service.hpp"

namespace detection::integration {

/// A database of one server, its schema made, and services on it, each behind a gate of its own.
class Replicas {
 public:
  struct Plan {
    std::size_t count = 3;
    std::vector<std::string> slots{};               ///< of each; empty: none has one
    std::vector<std::vector<std::string>> sinks{};  ///< of each
    std::vector<std::string> more{};                ///< further arguments of all
    std::string user = "postgres";                  ///< of the services
    std::string password{};                         ///< of the commands; the services have none in their URL
    std::string url_settings{};                     ///< behind it, as "?sslmode=verify-full"
    std::vector<std::filesystem::path> binaries{};  ///< of each; empty: binary()
    std::filesystem::path migrated_by = binary();   ///< makes the schema
  };
  /// `server` runs. A failure of the test where the schema cannot be made.
  Replicas(PostgresServer& server, const Plan& plan);

  /// All of them, ready. Throws, with its log, where one does not come up.
  void start();
  [[nodiscard]] std::size_t size() const noexcept { return services_.size(); }
  [[nodiscard]] Service& operator[](std::size_t i) { return *services_.at(i); }
  [[nodiscard]] FaultGate& gate(std::size_t i) { return *gates_.at(i); }
  [[nodiscard]] const std::string& database() const noexcept { return database_; }

  /// Of the commands from now on.
  void use_password(const std::string& password) { password_ = password; }
  /// `detection-api ARGUMENTS --database-url ...`
  [[nodiscard]] Output command(std::vector<std::string> arguments,
                               const std::filesystem::path& program = binary()) const;

  /// Waits until no spool has anything left.
  [[nodiscard]] bool spools_empty(std::chrono::milliseconds most);
  /// What each says of its sinks, for a failed test.
  [[nodiscard]] std::string deliveries() const;
  /// What they logged, the last lines of each, for a failed test.
  [[nodiscard]] std::string logs() const;

 private:
  PostgresServer& server_;
  std::string database_, password_;
  std::vector<std::unique_ptr<FaultGate>> gates_;
  std::vector<std::unique_ptr<Service>> services_;
};

/// A request without an answer: stored or not, nobody knows yet.
struct Unanswered {
  std::string target, body;
  std::vector<std::string> ids;
};

/// What clients were told. Any thread.
class Told {
 public:
  void acknowledged(const std::vector<std::string>& ids, int status);
  void unanswered(Unanswered request);
  void refused(int status, const std::string& body);

  // When no client runs any more.
  [[nodiscard]] const std::vector<std::string>& acknowledged() const { return acknowledged_; }
  [[nodiscard]] const std::vector<Unanswered>& unanswered() const { return unanswered_; }
  [[nodiscard]] std::uint64_t answers(int status) const;
  /// "201: 1234, 202: 56, 503: 7".
  [[nodiscard]] std::string counts() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> acknowledged_;
  std::vector<Unanswered> unanswered_;
  std::unordered_map<int, std::uint64_t> answers_;
};

/// Posts to one service until told to stop: ones and batches, with ids of their own. 200, 201, 202 are acknowledged,
/// 503 is a refusal that may be, anything else a failure of the test. `pause` after each answer; a request has 5
/// detections on the average.
void post_until(const std::atomic<bool>& stop, const Service& service, std::uint64_t seed, Told& told,
                std::chrono::milliseconds pause = std::chrono::milliseconds(2));

/// Ids of an answer that acknowledges; a failure of the test where one is refused.
[[nodiscard]] std::vector<std::string> acknowledged_ids(const Response& answer);

/// Every delivery that the audit of the database tells of, confirmed once: the ranges of one sink do not overlap. How
/// many detections they are, by sink; a failure of the test where one is twice.
[[nodiscard]] std::unordered_map<std::string, std::size_t> confirmed_once(const Replicas& replicas);
/// `audit verify` finds no fault.
void expect_audit_holds(const Replicas& replicas);

/// Sets the active slot by the command; a failure of the test where it does not.
void set_slot(const Replicas& replicas, const std::string& slot);

}  // namespace detection::integration
