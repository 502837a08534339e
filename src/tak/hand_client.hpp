#pragma once
// A TAK client for tests, made by hand: one blocking connection to 127.0.0.1, plain or TLS, that says and hears bytes.
// Target tak_test_server. One thread at a time.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace detection::tak {

/// PEM files; `certificate` and `key` may be empty. The server must be called `localhost`.
struct ClientTls {
  std::string ca = {}, certificate = {}, key = {};
};

class HandClient {
 public:
  explicit HandClient(std::uint16_t port, const std::optional<ClientTls>& tls = {});
  ~HandClient();
  HandClient(const HandClient&) = delete;
  HandClient& operator=(const HandClient&) = delete;

  /// TCP, and the handshake where there is one.
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool send(std::string_view bytes);
  /// What has come within the time; empty: nothing yet, or the end (then ended() is true).
  [[nodiscard]] std::string read_some(std::chrono::milliseconds most);
  /// What comes up to and with `text`; all there was when the end or the time comes first.
  [[nodiscard]] std::string read_until(std::string_view text,
                                       std::chrono::milliseconds most = std::chrono::seconds{10});
  /// Reads to the end of the connection; false when it does not come in time.
  [[nodiscard]] bool wait_for_end(std::chrono::milliseconds most = std::chrono::seconds{10});
  [[nodiscard]] bool ended() const { return ended_; }
  /// The end came as a reset, not in order.
  [[nodiscard]] bool was_reset() const { return reset_; }
  void half_close() const;
  void close(bool with_reset = false);

 private:
  int descriptor_ = -1;
  ssl_ctx_st* context_ = nullptr;
  ssl_st* ssl_ = nullptr;
  std::string kept_;  ///< behind the text of read_until
  bool connected_ = false, ended_ = false, reset_ = false;
};

}  // namespace detection::tak
