#include "tak/scripted_stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <stdexcept>
#include <utility>

namespace detection::tak {
namespace {

[[noreturn]] void refuse_file(const std::string& file) {
  char text[256] = {};
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  throw std::runtime_error("the scripted TAK server cannot use " + file + ": " + text);
}

}  // namespace

std::shared_ptr<ssl_ctx_st> scripted_tls_context(const ServerTls& files) {
  // OpenSSL writes without MSG_NOSIGNAL; only tests are concerned.
  (void)std::signal(SIGPIPE, SIG_IGN);
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) refuse_file(files.certificate);
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) refuse_file(files.key);
  if (!files.client_ca.empty()) {
    if (SSL_CTX_load_verify_locations(context.get(), files.client_ca.c_str(), nullptr) != 1)
      refuse_file(files.client_ca);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

ScriptedStream::ScriptedStream(int descriptor, ssl_ctx_st* context) : descriptor_(descriptor) {
  if (context == nullptr) return;
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, descriptor);
  SSL_set_accept_state(ssl_);
}

ScriptedStream::~ScriptedStream() {
  close(false);
}

ScriptedStream::ScriptedStream(ScriptedStream&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), ssl_(std::exchange(other.ssl_, nullptr)) {}

ScriptedStream& ScriptedStream::operator=(ScriptedStream&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(ssl_, other.ssl_);
  return *this;
}

ScriptedStream::Step ScriptedStream::outcome(int result) {
  if (result > 0) return {State::kDone, static_cast<std::size_t>(result)};
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return {State::kAgain};
  return {State::kEnd};
}

ScriptedStream::Step ScriptedStream::read(char* to, std::size_t most) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return outcome(SSL_read(ssl_, to, static_cast<int>(std::min<std::size_t>(most, INT_MAX))));
  }
  const ssize_t n = ::recv(descriptor_, to, most, 0);
  if (n > 0) return {State::kDone, static_cast<std::size_t>(n)};
  return {n < 0 && (errno == EAGAIN || errno == EINTR) ? State::kAgain : State::kEnd};
}

ScriptedStream::Step ScriptedStream::write(const char* from, std::size_t bytes) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return outcome(SSL_write(ssl_, from, static_cast<int>(std::min<std::size_t>(bytes, INT_MAX))));
  }
  const ssize_t n = ::send(descriptor_, from, bytes, MSG_NOSIGNAL);
  if (n >= 0) return {State::kDone, static_cast<std::size_t>(n)};
  return {errno == EAGAIN || errno == EINTR ? State::kAgain : State::kEnd};
}

bool ScriptedStream::pending() const {
  return ssl_ != nullptr && SSL_pending(ssl_) > 0;
}

bool ScriptedStream::handshake_done() const {
  return ssl_ != nullptr && SSL_is_init_finished(ssl_) == 1;
}

std::string ScriptedStream::client_name() const {
  if (ssl_ == nullptr) return {};
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  char text[256] = {};
  X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof text);
  return text;
}

void ScriptedStream::close(bool reset) {
  if (ssl_ != nullptr) {
    if (!reset && SSL_is_init_finished(ssl_) == 1) (void)SSL_shutdown(ssl_);
    SSL_free(std::exchange(ssl_, nullptr));
    ERR_clear_error();
  }
  if (descriptor_ < 0) return;
  if (reset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(std::exchange(descriptor_, -1));
}

void ScriptedStream::half_close() const {
  if (ssl_ != nullptr) (void)SSL_shutdown(ssl_);
  (void)::shutdown(descriptor_, SHUT_WR);
}

}  // namespace detection::tak
