#pragma once
// A PostgreSQL server of one's own for tests: Debian's binaries, a cluster in a temporary folder, 127.0.0.1 and a free
// port that stays the same over restarts. As root it runs as the user `postgres`. Between it and its client a FaultGate
// (fault_gate.hpp) with peer_port = port() cuts and stalls. Failures of the machinery itself are exceptions.
//
//   if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *why;
//   PostgresServer server({});
//   const auto database = server.create_database("mine");
//   connect(server.url("mine"));

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "integration/support/process.hpp"

namespace detection::integration {

struct PostgresOptions {
  bool fsync = false;                   ///< on where a crash of the server is part of the test
  bool passwords = false;               ///< over TCP (scram-sha-256); else everyone is let in
  std::string certificate{}, key{};     ///< PEM; both: it speaks TLS
  bool only_tls = false;                ///< refuses others over TCP
  std::vector<std::string> settings{};  ///< "name=value"
};

class PostgresServer {
 public:
  /// Why there can be none here; nothing: there can.
  [[nodiscard]] static std::optional<std::string> unavailable();

  /// Makes the cluster and starts it. It ends with the thread that called start() last (the constructor's, at first).
  explicit PostgresServer(const PostgresOptions& options);
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  enum class Stop : std::uint8_t {
    kFast,       ///< ends the connections, writes a checkpoint
    kImmediate,  ///< as a crash, but that the processes go in order
  };
  void start();  ///< returns when it accepts connections, after recovery if need be
  void stop(Stop how);
  void kill9();    ///< SIGKILL to all its processes
  void suspend();  ///< SIGSTOP to all its processes: connections stand, nothing is answered
  void resume();

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_.path(); }  ///< of its socket
  /// Over TCP; an empty password: none. `port` 0: its own, else that of a gate before it.
  [[nodiscard]] std::string url(const std::string& database = "postgres", const std::string& user = "postgres",
                                const std::string& password = {}, std::uint16_t port = 0) const;

  /// As a copy of another, without connections to that one.
  void create_database(const std::string& name, const std::string& like = "template1");
  /// By the socket, as the superuser, whatever the other settings. The rows of the last statement; NULL is empty.
  std::vector<std::vector<std::string>> run_sql(const std::string& sql, const std::string& database = "postgres");
  /// What it has written to its log.
  [[nodiscard]] std::string log() const;

 private:
  [[nodiscard]] std::vector<pid_t> processes() const;  ///< the postmaster first
  void wait_until_ready();
  PostgresOptions options_;
  TempDir folder_;
  std::uint16_t port_;
  std::optional<Child> postmaster_;
  bool suspended_ = false;
};

}  // namespace detection::integration
