#include "tak/test_certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tak/certificate.hpp"

namespace detection::tak::testing {
namespace {

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string(what) + ": " + openssl_reason());
}

Owned<BIO> memory_of(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Owned<X509> certificate_of(const std::string& pem) {
  Owned<X509> out(PEM_read_bio_X509(memory_of(pem).get(), nullptr, nullptr, nullptr));
  require(out != nullptr, "certificate");
  return out;
}

Owned<EVP_PKEY> key_of(const std::string& pem) {
  Owned<EVP_PKEY> out(PEM_read_bio_PrivateKey(memory_of(pem).get(), nullptr, nullptr, nullptr));
  require(out != nullptr, "key");
  return out;
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

void date(X509* certificate, std::chrono::seconds starts, std::chrono::seconds ends) {
  static std::atomic<long> serial{1};
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), starts.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate), ends.count());
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "tak_test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryFolder::write(std::string_view name, std::string_view text) const {
  const auto path = path_ / name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct TestAuthority::Impl {
  Owned<EVP_PKEY> key{EVP_EC_gen("P-256")};
  Owned<X509> certificate{X509_new()};
  std::string pem;

  void make(const std::string& name, X509* above, EVP_PKEY* above_key) {
    date(certificate.get(), std::chrono::hours{-2}, std::chrono::hours{48});
    X509_set_pubkey(certificate.get(), key.get());
    auto* subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(above));
    extend(certificate.get(), above, NID_basic_constraints, "critical,CA:TRUE");
    extend(certificate.get(), above, NID_key_usage, "critical,keyCertSign,cRLSign");
    require(X509_sign(certificate.get(), above_key, EVP_sha256()) > 0, "sign");
    pem = pem_of(certificate.get());
  }
};

TestAuthority::TestAuthority(const std::string& common_name) : impl_(std::make_unique<Impl>()) {
  impl_->make(common_name, impl_->certificate.get(), impl_->key.get());
}

TestAuthority::TestAuthority(const std::string& common_name, const TestAuthority& above)
    : impl_(std::make_unique<Impl>()) {
  impl_->make(common_name, above.impl_->certificate.get(), above.impl_->key.get());
}

TestAuthority::~TestAuthority() = default;

const std::string& TestAuthority::certificate() const {
  return impl_->pem;
}

Identity TestAuthority::issue(const CertificateWishes& wishes) const {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  date(certificate.get(), wishes.starts, wishes.ends);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wishes.common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(impl_->certificate.get()));
  std::string names;
  for (const auto& name : wishes.dns) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  for (const auto& address : wishes.addresses) names += (names.empty() ? "IP:" : ",IP:") + address;
  auto* const issuer = impl_->certificate.get();
  if (!names.empty()) extend(certificate.get(), issuer, NID_subject_alt_name, names);
  if (wishes.authority) extend(certificate.get(), issuer, NID_basic_constraints, "critical,CA:TRUE");
  require(X509_sign(certificate.get(), impl_->key.get(), EVP_sha256()) > 0, "sign");
  return {pem_of(certificate.get()), pem_of(key.get())};
}

Identity TestAuthority::server(const std::string& name) const {
  return issue({.common_name = name, .dns = {name}, .addresses = {"127.0.0.1"}});
}

Identity TestAuthority::client(const std::string& name) const {
  return issue({.common_name = name});
}

std::string TestAuthority::sign(const std::string& request_pem) const {
  const Owned<X509_REQ> request(PEM_read_bio_X509_REQ(memory_of(request_pem).get(), nullptr, nullptr, nullptr));
  require(request != nullptr, "request");
  auto* const key = X509_REQ_get0_pubkey(request.get());
  require(X509_REQ_verify(request.get(), key) == 1, "request signature");
  const Owned<X509> certificate(X509_new());
  date(certificate.get(), std::chrono::hours{-1}, std::chrono::hours{24 * 30});
  X509_set_pubkey(certificate.get(), key);
  X509_set_subject_name(certificate.get(), X509_REQ_get_subject_name(request.get()));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(impl_->certificate.get()));
  require(X509_sign(certificate.get(), impl_->key.get(), EVP_sha256()) > 0, "sign");
  return pem_of(certificate.get());
}

std::string make_pkcs12(const Identity& identity, const std::vector<std::string>& others, const std::string& password,
                        Pkcs12Cipher cipher) {
  const int nid = cipher == Pkcs12Cipher::kAes256      ? NID_aes_256_cbc
                  : cipher == Pkcs12Cipher::kTripleDes ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC
                                                       : NID_pbe_WithSHA1And40BitRC2_CBC;
  auto* const context = OSSL_LIB_CTX_new();
  auto* const base = OSSL_PROVIDER_load(context, "default");
  auto* const legacy = OSSL_PROVIDER_load(context, "legacy");
  Owned<X509> leaf;
  Owned<EVP_PKEY> key;
  if (!identity.key.empty()) {
    leaf = certificate_of(identity.certificate);
    key = key_of(identity.key);
  }
  const Owned<STACK_OF(X509)> rest(sk_X509_new_null());
  for (const auto& pem : others) sk_X509_push(rest.get(), certificate_of(pem).release());
  std::string out;
  {
    const Owned<PKCS12> made(PKCS12_create_ex(password.c_str(), "test", key.get(), leaf.get(), rest.get(), nid, nid,
                                              2'048, 2'048, 0, context, nullptr));
    unsigned char* der = nullptr;
    if (const int size = made ? i2d_PKCS12(made.get(), &der) : 0; size > 0)
      out.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
  }
  ERR_clear_error();
  if (legacy != nullptr) OSSL_PROVIDER_unload(legacy);
  if (base != nullptr) OSSL_PROVIDER_unload(base);
  OSSL_LIB_CTX_free(context);
  return out;
}

std::string key_in_form(const std::string& key_pem, KeyForm form, const std::string& passphrase) {
  const auto key = key_of(key_pem);
  const bool encrypted = form == KeyForm::kPkcs8Encrypted || form == KeyForm::kTraditionalEncrypted;
  const auto* cipher = encrypted ? EVP_aes_128_cbc() : nullptr;
  const auto* secret = encrypted ? reinterpret_cast<const unsigned char*>(passphrase.c_str()) : nullptr;
  const int secret_size = encrypted ? static_cast<int>(passphrase.size()) : 0;
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (form == KeyForm::kTraditional || form == KeyForm::kTraditionalEncrypted)
    PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), cipher, secret, secret_size, nullptr, nullptr);
  else
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), cipher, reinterpret_cast<const char*>(secret), secret_size,
                                  nullptr, nullptr);
  return text_of(bio.get());
}

std::string pin_of(const std::string& certificate_pem) {
  return sha256_of(certificate_of(certificate_pem).get());
}

std::string request_subject(const std::string& request_pem) {
  const Owned<X509_REQ> request(PEM_read_bio_X509_REQ(memory_of(request_pem).get(), nullptr, nullptr, nullptr));
  require(request != nullptr, "request");
  return name_text(X509_REQ_get_subject_name(request.get()));
}

}  // namespace detection::tak::testing
