#pragma once
// Certificates, keys and PKCS#12 as owned values, and how they are said in words (private to this room: shows OpenSSL).
// Errors name `what`, the file, and never hold a secret.

#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"

namespace detection::tak {

struct FreeOpenSsl {
  void operator()(BIO* it) const noexcept { BIO_free(it); }
  void operator()(X509* it) const noexcept { X509_free(it); }
  void operator()(X509_REQ* it) const noexcept { X509_REQ_free(it); }
  void operator()(EVP_PKEY* it) const noexcept { EVP_PKEY_free(it); }
  void operator()(PKCS12* it) const noexcept { PKCS12_free(it); }
  void operator()(GENERAL_NAMES* it) const noexcept { GENERAL_NAMES_free(it); }
  void operator()(STACK_OF(X509) * it) const noexcept { sk_X509_pop_free(it, X509_free); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeOpenSsl>;
using Certificates = std::vector<Owned<X509>>;

/// OpenSSL's words for what failed last; empties its queue.
[[nodiscard]] std::string openssl_reason();

/// One or more PEM certificates, in their order.
[[nodiscard]] Result<Certificates> read_certificates(std::string_view pem, std::string_view what);
/// PEM, PKCS#1 or PKCS#8. `passphrase_file` is what the error calls the place for the passphrase.
[[nodiscard]] Result<Owned<EVP_PKEY>> read_private_key(std::string_view pem, const std::string& passphrase,
                                                       std::string_view what, std::string_view passphrase_file);

struct Pkcs12Content {
  Owned<EVP_PKEY> key;  ///< null: certificates only
  Owned<X509> leaf;     ///< of the key
  Certificates others;
};
/// With old ciphers (RC2-40, ...) by OpenSSL's legacy provider, loaded apart from everything else; where there is none
/// (or it may not be used) the error says how to convert the file.
[[nodiscard]] Result<Pkcs12Content> read_pkcs12(std::string_view bytes, const std::string& password,
                                                std::string_view what, bool may_use_legacy = true);

[[nodiscard]] std::string pem_of(const X509* certificate);
[[nodiscard]] std::string pem_of(const Certificates& certificates);
[[nodiscard]] std::string pem_of(const EVP_PKEY* key);  ///< PKCS#8, not encrypted

[[nodiscard]] UtcMicros starts_at(const X509* certificate);
[[nodiscard]] UtcMicros expires_at(const X509* certificate);
/// "CN=name,O=organisation"; ASCII.
[[nodiscard]] std::string name_text(const X509_NAME* name);
[[nodiscard]] std::string subject_of(const X509* certificate);
[[nodiscard]] std::string issuer_of(const X509* certificate);
[[nodiscard]] std::string common_name_of(const X509* certificate);  ///< UTF-8; empty: none
/// DNS names and addresses of the SAN. Nothing when the certificate has no SAN at all.
struct AlternativeNames {
  bool present = false;
  std::vector<std::string> names;
};
[[nodiscard]] AlternativeNames alternative_names(const X509* certificate);
/// Of what a trust store holds: the authorities; where there is none, all (a server's own certificate, trusted as
/// such).
[[nodiscard]] Certificates only_authorities(Certificates all);
[[nodiscard]] bool self_signed(const X509* certificate);
/// Lower-case hex of the SHA-256 of the DER form.
[[nodiscard]] std::string sha256_of(const X509* certificate);
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
/// "3 days", "2 hours", "45 seconds": the largest whole unit, without a sign.
[[nodiscard]] std::string span_text(std::chrono::microseconds span);

}  // namespace detection::tak
