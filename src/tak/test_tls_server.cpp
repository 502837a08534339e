#include "tak/test_tls_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "tak/certificate.hpp"

namespace detection::tak::testing {
namespace {

constexpr timeval kPatience{20, 0};  // so that a broken test ends

SSL_CTX* make_context(const TestTlsOptions& options) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  const auto chain = read_certificates(options.identity.certificate, "the test server's certificate");
  const auto key = read_private_key(options.identity.key, {}, "the test server's key", {});
  if (context == nullptr || !chain || !key) throw std::runtime_error("the test server's identity");
  SSL_CTX_use_certificate(context, chain->front().get());
  for (std::size_t i = 1; i < chain->size(); ++i) SSL_CTX_add1_chain_cert(context, (*chain)[i].get());
  SSL_CTX_use_PrivateKey(context, key->get());
  if (options.only_tls12) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  if (options.only_tls11) {
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
  }
  if (!options.client_authorities.empty()) {
    const auto authorities = read_certificates(options.client_authorities, "client authorities");
    for (const auto& one : *authorities) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get());
      SSL_CTX_add_client_CA(context, one.get());
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

/// So that what was written arrives before the end of the connection.
void end(int descriptor) {
  ::shutdown(descriptor, SHUT_WR);
  char rest[4'096];
  while (::recv(descriptor, rest, sizeof rest, 0) > 0) {
  }
}

}  // namespace

std::string TestPeer::read() const {
  std::string bytes(65'536, '\0');
  const long count = ssl_ != nullptr ? SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                     : ::recv(descriptor_, bytes.data(), bytes.size(), 0);
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

bool TestPeer::write(std::string_view bytes) const {
  if (ssl_ != nullptr) return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
  return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

TestTlsServer::TestTlsServer(TestTlsOptions options, Serve serve)
    : options_(std::move(options)), serve_(std::move(serve)) {
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
  if (!options_.identity.certificate.empty()) context_ = make_context(options_);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, generic, &size) != 0)
    throw std::runtime_error("the test server cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TestTlsServer::~TestTlsServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  {
    const std::scoped_lock lock(mutex_);
    if (current_ >= 0) ::shutdown(current_, SHUT_RDWR);
  }
  thread_.join();
  ::close(listener_);
  SSL_CTX_free(context_);
}

std::string TestTlsServer::server_name() const {
  const std::scoped_lock lock(mutex_);
  return server_name_;
}

void TestTlsServer::run() {
  while (!stopping_) {
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) continue;
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    {
      const std::scoped_lock lock(mutex_);
      current_ = descriptor;
      if (stopping_) ::shutdown(descriptor, SHUT_RDWR);
    }
    handle(descriptor);
    {
      const std::scoped_lock lock(mutex_);
      current_ = -1;
    }
    ::close(descriptor);
  }
}

void TestTlsServer::handle(int descriptor) {
  if (context_ == nullptr) {
    serve_(TestPeer(descriptor, nullptr));
    end(descriptor);
    return;
  }
  SSL* const ssl = SSL_new(context_);
  SSL_set_fd(ssl, descriptor);
  const bool good = SSL_accept(ssl) == 1;
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    const std::scoped_lock lock(mutex_);
    server_name_ = name;
  }
  if (good) {
    serve_(TestPeer(descriptor, ssl));
    SSL_shutdown(ssl);
  }
  ERR_clear_error();
  end(descriptor);
  SSL_free(ssl);
}

}  // namespace detection::tak::testing
