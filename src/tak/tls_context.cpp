#include "tak/tls_context.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "tak/certificate.hpp"
#include "tak/tls_notes.hpp"

namespace detection::tak {
namespace {

std::unexpected<Error> wrong(std::string why) {
  return fail(ErrorCode::kConfiguration, std::move(why));
}

void free_notes(void*, void* notes, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<TlsNotes*>(notes);
}

int notes_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_notes);
  return index;
}

int borrowed_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

/// Of the connection itself, else of the witness on its context.
TlsNotes* notes_of(const SSL* ssl) {
  if (auto* own = static_cast<TlsNotes*>(SSL_get_ex_data(ssl, notes_index()))) return own;
  return static_cast<TlsNotes*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), borrowed_index()));
}

/// Names come from outside and go to terminals and JSON.
std::string printable(std::string name) {
  std::ranges::replace_if(name, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return name;
}

ServerCertificate describe(const X509* certificate) {
  ServerCertificate out;
  out.subject = subject_of(certificate);
  out.issuer = issuer_of(certificate);
  auto names = alternative_names(certificate);
  out.has_san = names.present;
  out.names = std::move(names.names);
  if (!out.has_san)
    if (auto name = common_name_of(certificate); !name.empty()) out.names.push_back(std::move(name));
  for (auto& name : out.names) name = printable(std::move(name));
  out.starts = starts_at(certificate);
  out.expires = expires_at(certificate);
  out.sha256 = sha256_of(certificate);
  return out;
}

bool same_text(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool name_matches(X509* leaf, const ServerCertificate& seen, const TlsExpectation& expected) {
  constexpr unsigned kFlags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  if (!seen.has_san && !seen.names.empty() && same_text(seen.names.front(), expected.name)) return true;
  if (expected.name_is_address) return X509_check_ip_asc(leaf, expected.name.c_str(), 0) == 1;
  // A SAN without any DNS name would make OpenSSL look at the CN.
  const unsigned flags = kFlags | (seen.has_san ? X509_CHECK_FLAG_NEVER_CHECK_SUBJECT : 0U);
  return X509_check_host(leaf, expected.name.data(), expected.name.size(), flags, nullptr) == 1;
}

void note_failure(TlsNotes& notes, int error, const X509* about, bool is_leaf) {
  notes.verify_error = error;
  notes.failed_is_leaf = is_leaf;
  if (about == nullptr) return;
  notes.failed_subject = subject_of(about);
  notes.failed_issuer = issuer_of(about);
  notes.failed_starts = starts_at(about);
  notes.failed_expires = expires_at(about);
}

/// In place of OpenSSL's own check of the chain.
int verify(X509_STORE_CTX* store, void*) {
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* notes = ssl == nullptr ? nullptr : notes_of(ssl);
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  if (notes == nullptr || leaf == nullptr) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  const auto& expected = *notes->expected;
  notes->server = describe(leaf);
  if (!expected.pin.empty()) {
    const bool good = notes->server->sha256 == expected.pin;
    if (!good) note_failure(*notes, X509_V_ERR_CERT_REJECTED, leaf, true);
    X509_STORE_CTX_set_error(store, good ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return good ? 1 : 0;
  }
  if (X509_verify_cert(store) != 1) {
    const int depth = X509_STORE_CTX_get_error_depth(store);
    note_failure(*notes, X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store), depth == 0);
    if (notes->verify_error == X509_V_OK) notes->verify_error = X509_V_ERR_UNSPECIFIED;
    return 0;
  }
  if (!name_matches(leaf, *notes->server, expected)) {
    note_failure(*notes, X509_V_ERR_HOSTNAME_MISMATCH, leaf, true);
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
  }
  return 1;
}

void note_state(const SSL* ssl, int where, int value) {
  auto* notes = notes_of(ssl);
  if (notes == nullptr) return;
  if (where == SSL_CB_READ_ALERT && (value >> 8) == SSL3_AL_FATAL) notes->alert = value & 0xff;
  if (where == SSL_CB_HANDSHAKE_DONE) notes->finished = true;
}

void note_message(int sent, int, int type, const void* bytes, std::size_t size, SSL* ssl, void*) {
  auto* notes = sent == 0 ? notes_of(ssl) : nullptr;
  if (notes == nullptr || notes->bytes_seen || type != SSL3_RT_HEADER || size < 3) return;
  const auto* header = static_cast<const unsigned char*>(bytes);
  notes->bytes_seen = true;
  notes->first_record_is_tls = header[0] >= SSL3_RT_CHANGE_CIPHER_SPEC && header[0] <= SSL3_RT_APPLICATION_DATA &&
                               header[1] == SSL3_VERSION_MAJOR;
}

/// The server asks for a client certificate.
int note_request(SSL* ssl, void*) {
  auto* notes = notes_of(ssl);
  if (notes == nullptr) return 1;
  notes->asked_for_certificate = true;
  const auto* issuers = SSL_get0_peer_CA_list(ssl);
  constexpr int kNamed = 3;
  const int count = sk_X509_NAME_num(issuers);
  for (int i = 0; i < std::min(count, kNamed); ++i)
    notes->accepted_issuers += (i > 0 ? "; " : "") + name_text(sk_X509_NAME_value(issuers, i));
  if (count > kNamed) notes->accepted_issuers += "; and " + std::to_string(count - kNamed) + " more";
  return 1;
}

void watch(SSL_CTX* context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify, nullptr);
  SSL_CTX_set_info_callback(context, note_state);
  SSL_CTX_set_msg_callback(context, note_message);
  SSL_CTX_set_cert_cb(context, note_request, nullptr);
}

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

Result<std::string> read_pin(std::string_view text) {
  std::string pin;
  for (const char c : text)
    if (c != ':' && c != ' ') pin.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!pin.empty() && (pin.size() != 64 || !std::ranges::all_of(pin, hex)))
    return wrong(
        "the pin is the SHA-256 of the server's certificate: 64 hex digits (openssl x509 -in server.crt "
        "-noout -fingerprint -sha256)");
  return pin;
}

Result<void> use_authorities(SSL_CTX* context, const Credentials& credentials, TlsExpectation& expected) {
  auto authorities = read_certificates(credentials.authorities_pem, credentials.authorities_from);
  if (!authorities) return std::unexpected(authorities.error());
  auto* store = SSL_CTX_get_cert_store(context);
  constexpr std::size_t kNamed = 3;
  std::string names;
  for (std::size_t i = 0; i < authorities->size(); ++i) {
    if (X509_STORE_add_cert(store, (*authorities)[i].get()) != 1)
      return wrong(credentials.authorities_from + ": a certificate cannot be used: " + openssl_reason());
    if (i < kNamed) names += (i > 0 ? "; " : "") + subject_of((*authorities)[i].get());
    if (i == kNamed) names += "; ...";
  }
  // A TAK site often hands out only the intermediate authority that signs its servers.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  expected.authorities = credentials.authorities_from + " (" + names + ")";
  expected.has_authorities = true;
  return {};
}

Result<void> use_certificate(SSL_CTX* context, const Credentials& credentials) {
  const auto chain = read_certificates(credentials.certificate_pem, credentials.folder);
  if (!chain) return std::unexpected(chain.error());
  const auto key = read_private_key(credentials.key_pem, {}, credentials.folder, {});
  if (!key) return std::unexpected(key.error());
  bool good =
      SSL_CTX_use_certificate(context, chain->front().get()) == 1 && SSL_CTX_use_PrivateKey(context, key->get()) == 1;
  for (std::size_t i = 1; good && i < chain->size(); ++i)
    good = SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) == 1;
  if (good) return {};
  return wrong("the client certificate in " + credentials.folder + " cannot be used: " + openssl_reason());
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsOptions& options, const std::string& host,
                                                           const CredentialsPointer& credentials) {
  auto expected = std::make_shared<TlsExpectation>();
  auto pin = read_pin(options.pin_sha256);
  if (!pin) return std::unexpected(pin.error());
  expected->pin = std::move(*pin);
  expected->name_was_given = !options.expected_name.empty();
  expected->name = expected->name_was_given ? options.expected_name : host.substr(0, host.find('%'));
  expected->name_is_address = is_address(expected->name);
  if (expected->name.empty() && expected->pin.empty()) return wrong("TLS needs the name of the server");

  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext());
  made->native_ = std::shared_ptr<SSL_CTX>(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  auto* const context = made->native_.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1)
    return wrong("TLS cannot be set up: " + openssl_reason());
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  watch(context);

  if (credentials) {
    expected->folder = credentials->folder;
    expected->our_subject = credentials->certificate_subject;
    expected->our_issuer = credentials->certificate_issuer;
    expected->our_expiry = credentials->certificate_expires;
    if (!credentials->certificate_pem.empty())
      if (auto done = use_certificate(context, *credentials); !done) return std::unexpected(done.error());
  }
  if (credentials && !credentials->authorities_pem.empty()) {
    if (auto done = use_authorities(context, *credentials, *expected); !done) return std::unexpected(done.error());
  } else {
    SSL_CTX_set_default_verify_paths(context);
    expected->authorities = "the authorities of this system";
  }
  ERR_clear_error();
  made->expected_ = std::move(expected);
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<void> TlsContext::configure(ssl_st* ssl) const {
  auto notes = std::make_unique<TlsNotes>();
  notes->expected = expected_;
  delete static_cast<TlsNotes*>(SSL_get_ex_data(ssl, notes_index()));
  if (SSL_set_ex_data(ssl, notes_index(), notes.get()) != 1) return wrong("TLS cannot be set up: " + openssl_reason());
  (void)notes.release();
  if (!expected_->name.empty() && !expected_->name_is_address &&
      SSL_set_tlsext_host_name(ssl, expected_->name.c_str()) != 1)
    return wrong("the name '" + expected_->name + "' cannot be sent to the server: " + openssl_reason());
  return {};
}

std::string TlsContext::explain(const ssl_st* ssl, unsigned long openssl_error) {
  const auto* notes = notes_of(ssl);
  return notes == nullptr ? "the TLS connection was not configured" : explain_tls(*notes, openssl_error);
}

std::optional<ServerCertificate> TlsContext::server(const ssl_st* ssl) {
  const auto* notes = notes_of(ssl);
  return notes == nullptr ? std::nullopt : notes->server;
}

bool TlsContext::asked_for_certificate(const ssl_st* ssl) {
  const auto* notes = notes_of(ssl);
  return notes != nullptr && notes->asked_for_certificate;
}

std::string TlsContext::version(const ssl_st* ssl) {
  switch (SSL_version(ssl)) {
    case TLS1_3_VERSION: return "TLS 1.3";
    case TLS1_2_VERSION: return "TLS 1.2";
    default: return SSL_get_version(ssl);
  }
}

TlsWitness TlsContext::witness() const {
  auto notes = std::make_unique<TlsNotes>();
  notes->expected = expected_;
  return {std::move(notes), native_};
}

TlsWitness::TlsWitness(std::unique_ptr<TlsNotes> notes, std::shared_ptr<ssl_ctx_st> checks)
    : notes_(std::move(notes)), checks_(std::move(checks)) {}
TlsWitness::TlsWitness(TlsWitness&&) noexcept = default;
TlsWitness::~TlsWitness() = default;

void TlsWitness::attach(ssl_ctx_st* context) {
  SSL_CTX_set_ex_data(context, borrowed_index(), notes_.get());
  SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(checks_.get()));
  watch(context);
}

const std::optional<ServerCertificate>& TlsWitness::server() const {
  return notes_->server;
}

std::string TlsWitness::explain(unsigned long openssl_error) const {
  return explain_tls(*notes_, openssl_error);
}

}  // namespace detection::tak
