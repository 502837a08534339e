#include "http/tls_credentials.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <iterator>
#include <vector>

namespace detection::http {
namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr std::size_t kFileBytesMost = 1 << 20;

struct Free {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

std::unexpected<Error> wrong(std::string detail) {
  return fail(ErrorCode::kConfiguration, std::move(detail));
}

/// OpenSSL's words for what failed; they name no secret.
std::string openssl_reason() {
  const auto* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

Result<std::string> read_open(int file, const std::string& path) {
  struct stat status{};
  if (::fstat(file, &status) != 0) return wrong(path + " cannot be read: " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return wrong(path + " is not a regular file");
  std::string bytes(kFileBytesMost + 1, '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const auto count = ::read(file, bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return wrong(path + " cannot be read: " + std::strerror(errno));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  if (filled > kFileBytesMost) return wrong(path + " is larger than 1 MiB");
  bytes.resize(filled);
  return bytes;
}

Result<std::string> read_file(const std::string& path) {
  // Not blocking: a pipe that somebody put there must hold up neither the start nor the end.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return wrong(path + " cannot be read: " + std::strerror(errno));
  auto bytes = read_open(file, path);
  ::close(file);
  return bytes;
}

/// The service asks nobody for a passphrase.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

Owned<BIO> bio_of(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::vector<Owned<X509>>> read_certificates(const std::string& path, const std::string& pem) {
  std::vector<Owned<X509>> chain;
  const auto bio = bio_of(pem);
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) chain.emplace_back(next);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end) ERR_clear_error();
  if (chain.empty() && at_end) return wrong(path + " holds no certificate in PEM form (BEGIN CERTIFICATE)");
  if (!at_end) return wrong(path + " holds a certificate that cannot be read: " + openssl_reason());
  return chain;
}

Result<Owned<EVP_PKEY>> read_key(const std::string& path, const std::string& pem) {
  const auto bio = bio_of(pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key) return key;
  const bool locked = pem.find("ENCRYPTED") != std::string::npos;
  const auto reason = openssl_reason();
  if (locked) return wrong(path + " is encrypted: give the key without a passphrase, readable by the service only");
  return wrong(path + " holds no private key in PEM form that can be read: " + reason);
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned int offered_bytes, void*) {
  static constexpr std::array<unsigned char, 9> kHttp11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, length, kHttp11.data(), kHttp11.size(), offered, offered_bytes) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

bool configure(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Sessions are kept by their clients, as tickets; the server has no memory of them.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") == 1 &&
         SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
}

Result<TlsContext> make_context(const TlsFiles& files, const std::vector<Owned<X509>>& chain, EVP_PKEY* key) {
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  if (!context || !configure(context.get())) return wrong("TLS cannot be set up: " + openssl_reason());
  if (SSL_CTX_use_certificate(context.get(), chain.front().get()) != 1)
    return wrong(files.certificate + " cannot be used: " + openssl_reason());
  if (X509_check_private_key(chain.front().get(), key) != 1) {
    ERR_clear_error();
    return wrong(files.key + " is not the key of the first certificate in " + files.certificate);
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key) != 1) return wrong(files.key + " cannot be used: " + openssl_reason());
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1)
      return wrong(files.certificate + ": a further certificate cannot be used: " + openssl_reason());
  return context;
}

/// Unix time; 0 when it cannot be told.
double expiry_of(const X509* certificate) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) != 1) return 0;
  return static_cast<double>(::timegm(&utc));
}

std::string digest_of(const std::string& certificate, const std::string& key) {
  std::string digest;
  for (const auto* text : {&certificate, &key}) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned int size = 0;
    EVP_Digest(text->data(), text->size(), hash.data(), &size, EVP_sha256(), nullptr);
    digest.append(hash.begin(), hash.begin() + size);
  }
  return digest;
}

}  // namespace

Result<std::unique_ptr<TlsCredentials>> TlsCredentials::load(TlsFiles files, telemetry::Gauge expiry) {
  if (files.certificate.empty() || files.key.empty()) return wrong("TLS needs both a certificate file and a key file");
  std::unique_ptr<TlsCredentials> credentials(new TlsCredentials(std::move(files), expiry));
  const auto certificate = read_file(credentials->files_.certificate);
  if (!certificate) return std::unexpected(certificate.error());
  const auto key = read_file(credentials->files_.key);
  if (!key) return std::unexpected(key.error());
  if (auto loaded = credentials->reload(*certificate, *key); !loaded) return std::unexpected(std::move(loaded.error()));
  return credentials;
}

TlsCredentials::~TlsCredentials() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TlsCredentials::watch(TlsReloaded reloaded) {
  reloaded_ = std::move(reloaded);
  thread_ = std::thread([this] { run(); });
}

std::unique_ptr<TlsSession> TlsCredentials::open_session(int descriptor) {
  const std::scoped_lock lock(mutex_);
  return TlsSession::make(*context_, descriptor);
}

Result<void> TlsCredentials::reload(const std::string& certificate, const std::string& key) {
  tried_ = digest_of(certificate, key);
  const auto chain = read_certificates(files_.certificate, certificate);
  if (!chain) return std::unexpected(chain.error());
  const auto private_key = read_key(files_.key, key);
  if (!private_key) return std::unexpected(private_key.error());
  auto context = make_context(files_, *chain, private_key->get());
  if (!context) return std::unexpected(std::move(context.error()));
  expiry_.set(expiry_of(chain->front().get()));
  const std::scoped_lock lock(mutex_);
  context_ = std::move(*context);
  return {};
}

void TlsCredentials::look_again() {
  const auto certificate = read_file(files_.certificate);
  const auto key = read_file(files_.key);
  // A file that is not there is being replaced; what follows is seen at the next look.
  if (!certificate || !key || digest_of(*certificate, *key) == tried_) return;
  const auto result = reload(*certificate, *key);
  if (reloaded_) reloaded_(result);
}

void TlsCredentials::run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kLookEvery, [this] { return stopping_; })) {
    lock.unlock();
    look_again();
    lock.lock();
  }
}

}  // namespace detection::http
