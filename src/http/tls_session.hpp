#pragma once
// One TLS connection over a non-blocking socket, by OpenSSL on the descriptor itself: nothing waits in here, and an
// idle session keeps no buffers (asio::ssl::stream would keep 50 KiB each). For the server's own .cpp files.

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>

namespace detection::http {

struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

class TlsSession {
 public:
  enum class Outcome {
    kDone,
    kWantsRead,   ///< again when the socket can be read
    kWantsWrite,  ///< again when it can be written, with the same bytes at the front
    kEnded,       ///< the peer said goodbye, or just closed
    kPlainHttp,   ///< handshake: the peer speaks HTTP without TLS
    kFailed,
  };

  /// The server's side of a connection; null when there is no memory.
  [[nodiscard]] static std::unique_ptr<TlsSession> make(SSL_CTX& context, int descriptor);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  [[nodiscard]] Outcome handshake();
  [[nodiscard]] Outcome read(void* to, std::size_t room, std::size_t& got);
  [[nodiscard]] Outcome write(const void* from, std::size_t bytes, std::size_t& sent);
  /// Bytes have been taken from the socket that were not read yet.
  [[nodiscard]] bool has_buffered() const { return SSL_has_pending(ssl_.get()) == 1; }
  /// Tells the peer that nothing follows, if the socket takes it.
  void say_goodbye();

 private:
  friend struct SocketBio;

  explicit TlsSession(int descriptor) : descriptor_(descriptor) {}
  [[nodiscard]] Outcome outcome_of(int result);

  const int descriptor_;
  bool at_end_ = false;  ///< of the socket
  bool broken_ = false;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace detection::http
