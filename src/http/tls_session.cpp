#include "http/tls_session.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>

namespace detection::http {

/// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that is gone would end the process.
struct SocketBio {
  static TlsSession& session(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, int room) {
    auto& self = session(bio);
    BIO_clear_retry_flags(bio);
    const auto got = ::recv(self.descriptor_, to, static_cast<std::size_t>(room), 0);
    if (got == 0) self.at_end_ = true;
    if (got < 0 && try_again()) BIO_set_retry_read(bio);
    return static_cast<int>(got);
  }

  static int write(BIO* bio, const char* from, int bytes) {
    BIO_clear_retry_flags(bio);
    const auto sent = ::send(session(bio).descriptor_, from, static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
    if (sent < 0 && try_again()) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return session(bio).at_end_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static bool try_again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* const bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
      if (bio == nullptr) return bio;
      BIO_meth_set_read(bio, &SocketBio::read);
      BIO_meth_set_write(bio, &SocketBio::write);
      BIO_meth_set_ctrl(bio, &SocketBio::control);
      return bio;
    }();
    return made;
  }
};

std::unique_ptr<TlsSession> TlsSession::make(SSL_CTX& context, int descriptor) {
  std::unique_ptr<TlsSession> session(new TlsSession(descriptor));
  BIO_METHOD* const method = SocketBio::method();
  if (method == nullptr) return nullptr;
  session->ssl_.reset(SSL_new(&context));
  BIO* const bio = BIO_new(method);
  if (!session->ssl_ || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, session.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl_.get(), bio, bio);
  SSL_set_accept_state(session->ssl_.get());
  return session;
}

TlsSession::Outcome TlsSession::outcome_of(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE: return Outcome::kDone;
    case SSL_ERROR_WANT_READ: return Outcome::kWantsRead;
    case SSL_ERROR_WANT_WRITE: return Outcome::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN: return Outcome::kEnded;
    default: break;
  }
  // After these nothing may be sent any more, not even a goodbye.
  broken_ = true;
  const auto reason = ERR_GET_REASON(ERR_peek_error());
  ERR_clear_error();
  const bool plain = reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST;
  return plain ? Outcome::kPlainHttp : Outcome::kFailed;
}

TlsSession::Outcome TlsSession::handshake() {
  ERR_clear_error();
  return outcome_of(SSL_do_handshake(ssl_.get()));
}

TlsSession::Outcome TlsSession::read(void* to, std::size_t room, std::size_t& got) {
  got = 0;
  if (broken_) return Outcome::kFailed;
  ERR_clear_error();
  return outcome_of(SSL_read_ex(ssl_.get(), to, room, &got));
}

TlsSession::Outcome TlsSession::write(const void* from, std::size_t bytes, std::size_t& sent) {
  sent = 0;
  if (broken_) return Outcome::kFailed;
  ERR_clear_error();
  return outcome_of(SSL_write_ex(ssl_.get(), from, bytes, &sent));
}

void TlsSession::say_goodbye() {
  if (broken_ || SSL_in_init(ssl_.get()) == 1) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));
  ERR_clear_error();
  broken_ = true;
}

}  // namespace detection::http
