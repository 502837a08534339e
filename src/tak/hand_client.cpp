#include "tak/hand_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

namespace detection::tak {

HandClient::HandClient(std::uint16_t port, const std::optional<ClientTls>& tls)
    : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int one = 1;
  (void)::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connected_ = ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!connected_ || !tls) return;
  (void)std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  context_ = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  connected_ = SSL_CTX_load_verify_locations(context_, tls->ca.c_str(), nullptr) == 1;
  if (!tls->certificate.empty()) {
    connected_ = connected_ && SSL_CTX_use_certificate_chain_file(context_, tls->certificate.c_str()) == 1 &&
                 SSL_CTX_use_PrivateKey_file(context_, tls->key.c_str(), SSL_FILETYPE_PEM) == 1;
  }
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, descriptor_);
  SSL_set1_host(ssl_, "localhost");
  connected_ = connected_ && SSL_connect(ssl_) == 1;
}

HandClient::~HandClient() {
  close();
}

bool HandClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ssl_ != nullptr ? static_cast<ssize_t>(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())))
                                   : ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string HandClient::read_some(std::chrono::milliseconds most) {
  if (!kept_.empty()) return std::exchange(kept_, {});
  if (ended_ || descriptor_ < 0) return {};
  pollfd wait{.fd = descriptor_, .events = POLLIN, .revents = 0};
  const bool waiting = ssl_ != nullptr && SSL_pending(ssl_) > 0;
  if (!waiting && ::poll(&wait, 1, static_cast<int>(most.count())) <= 0) return {};
  std::string buffer(256u << 10, '\0');
  const auto n = ssl_ != nullptr ? static_cast<ssize_t>(SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size())))
                                 : ::recv(descriptor_, buffer.data(), buffer.size(), 0);
  if (n > 0) {
    buffer.resize(static_cast<std::size_t>(n));
    return buffer;
  }
  ended_ = true;
  reset_ = n < 0 && errno == ECONNRESET;
  return {};
}

std::string HandClient::read_until(std::string_view text, std::chrono::milliseconds most) {
  const auto until = std::chrono::steady_clock::now() + most;
  std::string all;
  while (true) {
    const std::size_t at = all.find(text);
    if (at != std::string::npos) {
      kept_ = all.substr(at + text.size());
      all.resize(at + text.size());
      return all;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (ended_ || left.count() <= 0) return all;
    all += read_some(left);
  }
}

bool HandClient::wait_for_end(std::chrono::milliseconds most) {
  const auto until = std::chrono::steady_clock::now() + most;
  while (!ended_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    (void)read_some(left);
  }
  return true;
}

void HandClient::half_close() const {
  (void)::shutdown(descriptor_, SHUT_WR);
}

void HandClient::close(bool with_reset) {
  if (ssl_ != nullptr) SSL_free(std::exchange(ssl_, nullptr));
  if (context_ != nullptr) SSL_CTX_free(std::exchange(context_, nullptr));
  if (descriptor_ < 0) return;
  if (with_reset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(std::exchange(descriptor_, -1));
}

}  // namespace detection::tak
