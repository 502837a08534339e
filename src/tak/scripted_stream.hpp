#pragma once
// The bytes under the scripted server: one accepted connection, plain or TLS, that never blocks. Test-only.

#include <cstddef>
#include <memory>
#include <string>

struct ssl_ctx_st;
struct ssl_st;

namespace detection::tak {

/// PEM files. With `client_ca` only clients with a certificate of it are let in.
struct ServerTls {
  std::string certificate = {}, key = {}, client_ca = {};
};

/// Throws std::runtime_error, with OpenSSL's words, when a file is no good.
[[nodiscard]] std::shared_ptr<ssl_ctx_st> scripted_tls_context(const ServerTls& files);

class ScriptedStream {
 public:
  /// Owns the descriptor. Without a context: plain.
  ScriptedStream(int descriptor, ssl_ctx_st* context);
  ~ScriptedStream();
  ScriptedStream(ScriptedStream&& other) noexcept;
  ScriptedStream& operator=(ScriptedStream&& other) noexcept;

  enum class State { kDone, kAgain, kEnd };
  struct Step {
    State state = State::kAgain;
    std::size_t bytes = 0;
  };
  /// A TLS connection makes its handshake in the course of these. One read brings at most one TLS record.
  [[nodiscard]] Step read(char* to, std::size_t most);
  [[nodiscard]] Step write(const char* from, std::size_t bytes);
  /// Deciphered bytes are waiting that poll() knows nothing of.
  [[nodiscard]] bool pending() const;
  /// TLS only: true once the handshake is over.
  [[nodiscard]] bool handshake_done() const;
  /// The subject of the client's certificate, one line; empty without one.
  [[nodiscard]] std::string client_name() const;
  [[nodiscard]] bool tls() const { return ssl_ != nullptr; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] bool open() const { return descriptor_ >= 0; }
  /// With a reset, or with an orderly end (close_notify where the state allows).
  void close(bool reset);
  /// No more from us; the client may still send.
  void half_close() const;

 private:
  [[nodiscard]] Step outcome(int result);

  int descriptor_ = -1;
  ssl_st* ssl_ = nullptr;
};

}  // namespace detection::tak
