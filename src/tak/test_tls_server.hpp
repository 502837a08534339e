#pragma once
// For tests: a blocking server on 127.0.0.1, one connection after the other, over TLS or plain.

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "tak/test_certificates.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace detection::tak::testing {

/// One connection, past its handshake.
class TestPeer {
 public:
  TestPeer(int descriptor, ssl_st* ssl) : descriptor_(descriptor), ssl_(ssl) {}
  /// What has come, at most 64 KiB; empty: the end.
  [[nodiscard]] std::string read() const;
  bool write(std::string_view bytes) const;

 private:
  int descriptor_;
  ssl_st* ssl_;  ///< null: plain
};

struct TestTlsOptions {
  Identity identity{};               ///< empty: plain
  std::string client_authorities{};  ///< PEM; not empty: a client certificate is demanded
  bool only_tls12 = false;
  bool only_tls11 = false;
};

class TestTlsServer {
 public:
  using Serve = std::function<void(const TestPeer&)>;
  /// `serve` runs for each connection whose handshake was good; the connection ends when it returns.
  TestTlsServer(TestTlsOptions options, Serve serve);
  ~TestTlsServer();
  TestTlsServer(const TestTlsServer&) = delete;
  TestTlsServer& operator=(const TestTlsServer&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string server_name() const;  ///< by SNI, of the last connection

 private:
  void run();
  void handle(int descriptor);

  TestTlsOptions options_;
  Serve serve_;
  ssl_ctx_st* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  int current_ = -1;
  std::string server_name_;
  std::thread thread_;
};

}  // namespace detection::tak::testing
