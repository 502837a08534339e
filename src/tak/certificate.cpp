#include "tak/certificate.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace detection::tak {
namespace {

std::unexpected<Error> wrong(std::string_view what, const std::string& why) {
  return fail(ErrorCode::kConfiguration, std::string(what) + " " + why);
}

Owned<BIO> bio_of(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

int give_passphrase(char* buffer, int size, int, void* text) {
  const auto& passphrase = *static_cast<const std::string*>(text);
  if (passphrase.empty() || passphrase.size() > static_cast<std::size_t>(size)) return -1;
  passphrase.copy(buffer, passphrase.size());
  return static_cast<int>(passphrase.size());
}

UtcMicros time_of(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return {};
  return {std::int64_t{::timegm(&utc)} * 1'000'000};
}

std::string hex_of(const unsigned char* bytes, std::size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(kDigits[bytes[i] >> 4]);
    out.push_back(kDigits[bytes[i] & 15]);
  }
  return out;
}

/// A library context of its own with the legacy provider, this thread's default as long as it lives: the old ciphers
/// are open to nothing else. (A context given to PKCS12_init_ex is not passed on to the decryption in OpenSSL 3.0.)
class LegacyContext {
 public:
  LegacyContext() : context_(OSSL_LIB_CTX_new()) {
    if (context_ == nullptr) return;
    default_ = OSSL_PROVIDER_load(context_, "default");
    legacy_ = OSSL_PROVIDER_load(context_, "legacy");
    before_ = OSSL_LIB_CTX_set0_default(context_);
  }
  ~LegacyContext() {
    if (context_ == nullptr) return;
    OSSL_LIB_CTX_set0_default(before_);
    if (legacy_ != nullptr) OSSL_PROVIDER_unload(legacy_);
    if (default_ != nullptr) OSSL_PROVIDER_unload(default_);
    OSSL_LIB_CTX_free(context_);
  }
  LegacyContext(const LegacyContext&) = delete;
  LegacyContext& operator=(const LegacyContext&) = delete;
  [[nodiscard]] bool good() const { return default_ != nullptr && legacy_ != nullptr; }

 private:
  OSSL_LIB_CTX* context_;
  OSSL_LIB_CTX* before_ = nullptr;
  OSSL_PROVIDER* default_ = nullptr;
  OSSL_PROVIDER* legacy_ = nullptr;
};

Owned<PKCS12> decode_pkcs12(std::string_view bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  return Owned<PKCS12>(d2i_PKCS12(nullptr, &at, static_cast<long>(bytes.size())));
}

/// As PEM, so that nothing is left of the context that it was read in.
struct Unpacked {
  bool good = false;
  std::string key, leaf;
  std::vector<std::string> others;
  ~Unpacked() { OPENSSL_cleanse(key.data(), key.size()); }
};

void unpack(PKCS12* p12, const char* password, Unpacked& out) {
  EVP_PKEY* key = nullptr;
  X509* leaf = nullptr;
  STACK_OF(X509)* others = nullptr;
  if (PKCS12_parse(p12, password, &key, &leaf, &others) != 1) return;
  const Owned<EVP_PKEY> owned_key(key);
  const Owned<X509> owned_leaf(leaf);
  const Owned<STACK_OF(X509)> owned_others(others);
  if (key != nullptr) out.key = pem_of(key);
  if (leaf != nullptr) out.leaf = pem_of(leaf);
  for (int i = 0; i < sk_X509_num(others); ++i) out.others.push_back(pem_of(sk_X509_value(others, i)));
  out.good = true;
}

Result<Pkcs12Content> take(const Unpacked& unpacked, std::string_view what) {
  const auto certificate = [](const std::string& pem) {
    return Owned<X509>(PEM_read_bio_X509(bio_of(pem).get(), nullptr, nullptr, nullptr));
  };
  Pkcs12Content out;
  if (!unpacked.key.empty())
    out.key.reset(PEM_read_bio_PrivateKey(bio_of(unpacked.key).get(), nullptr, nullptr, nullptr));
  if (!unpacked.leaf.empty()) out.leaf = certificate(unpacked.leaf);
  for (const auto& pem : unpacked.others) out.others.push_back(certificate(pem));
  const bool whole = (out.key != nullptr) != unpacked.key.empty() && (out.leaf != nullptr) != unpacked.leaf.empty() &&
                     std::ranges::none_of(out.others, [](const auto& one) { return one == nullptr; });
  if (!whole) return wrong(what, "holds what cannot be used: " + openssl_reason());
  return out;
}

}  // namespace

std::string openssl_reason() {
  const auto* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

Result<Certificates> read_certificates(std::string_view pem, std::string_view what) {
  Certificates found;
  ERR_clear_error();
  const auto bio = bio_of(pem);
  std::string none;
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, give_passphrase, &none)) found.emplace_back(next);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) return wrong(what, "holds a certificate that cannot be read: " + openssl_reason());
  ERR_clear_error();
  if (!found.empty()) return found;
  if (pem.starts_with('\x30'))
    return wrong(what, "is in DER form; give it in PEM form: openssl x509 -inform der -in FILE -out FILE.pem");
  return wrong(what, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
}

Result<Owned<EVP_PKEY>> read_private_key(std::string_view pem, const std::string& passphrase, std::string_view what,
                                         std::string_view passphrase_file) {
  ERR_clear_error();
  const auto bio = bio_of(pem);
  Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, const_cast<std::string*>(&passphrase)));
  if (key) return key;
  const auto reason = openssl_reason();
  if (pem.find("ENCRYPTED") != std::string_view::npos) {
    const std::string file(passphrase_file);
    if (passphrase.empty()) return wrong(what, "is encrypted: put its passphrase into the file " + file + " beside it");
    return wrong(what, "does not open with the passphrase in " + file);
  }
  if (pem.find("PRIVATE KEY-----") == std::string_view::npos)
    return wrong(what, "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  return wrong(what, "holds a private key that cannot be read: " + reason);
}

Result<Pkcs12Content> read_pkcs12(std::string_view bytes, const std::string& password, std::string_view what,
                                  bool may_use_legacy) {
  ERR_clear_error();
  if (bytes.starts_with("\xFE\xED\xFE\xED") || bytes.starts_with("\xCE\xCE\xCE\xCE"))
    return wrong(what,
                 "is a Java key store; convert it: keytool -importkeystore -srckeystore FILE -destkeystore "
                 "FILE.p12 -deststoretype pkcs12");
  auto p12 = decode_pkcs12(bytes);
  if (!p12) {
    ERR_clear_error();
    return wrong(what, "is no PKCS#12 file");
  }
  const char* secret = password.c_str();
  if (PKCS12_mac_present(p12.get()) == 1 &&
      PKCS12_verify_mac(p12.get(), secret, static_cast<int>(password.size())) != 1) {
    ERR_clear_error();
    if (!password.empty() || PKCS12_verify_mac(p12.get(), nullptr, 0) != 1) {
      ERR_clear_error();
      return wrong(what, "does not open with the password given for it");
    }
    secret = nullptr;
  }
  Unpacked unpacked;
  unpack(p12.get(), secret, unpacked);
  if (unpacked.good) return take(unpacked, what);
  const auto reason = openssl_reason();
  p12.reset();
  {
    const LegacyContext legacy;
    ERR_clear_error();
    if (!may_use_legacy || !legacy.good())
      return wrong(what, "cannot be decrypted here (" + reason +
                             "): it was made with an old cipher such as RC2-40, and OpenSSL's legacy provider is not "
                             "there. Convert it where it is: openssl pkcs12 -legacy -in FILE.p12 -nodes -out FILE.pem "
                             "&& openssl pkcs12 -export -in FILE.pem -out FILE.p12 (then remove FILE.pem: it holds the "
                             "key)");
    const auto again = decode_pkcs12(bytes);
    if (again) unpack(again.get(), secret, unpacked);
  }
  if (unpacked.good) return take(unpacked, what);
  return wrong(what, "cannot be decrypted: " + openssl_reason());
}

std::string pem_of(const X509* certificate) {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

std::string pem_of(const Certificates& certificates) {
  std::string out;
  for (const auto& one : certificates) out += pem_of(one.get());
  return out;
}

std::string pem_of(const EVP_PKEY* key) {
  const Owned<BIO> bio(BIO_new(BIO_s_secmem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

UtcMicros starts_at(const X509* certificate) {
  return time_of(X509_get0_notBefore(certificate));
}

UtcMicros expires_at(const X509* certificate) {
  return time_of(X509_get0_notAfter(certificate));
}

std::string name_text(const X509_NAME* name) {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  auto text = text_of(bio.get());
  return text.empty() ? "(no name)" : text;
}

std::string subject_of(const X509* certificate) {
  return name_text(X509_get_subject_name(certificate));
}

std::string issuer_of(const X509* certificate) {
  return name_text(X509_get_issuer_name(certificate));
}

std::string common_name_of(const X509* certificate) {
  const auto* subject = X509_get_subject_name(certificate);
  // The last one is the most specific.
  int at = -1;
  for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) at = next;
  if (at < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return {};
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

AlternativeNames alternative_names(const X509* certificate) {
  AlternativeNames out;
  const Owned<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  out.present = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      out.names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                             static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> text{};
      if (size == 4 || size == 16)
        ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text.data(), text.size());
      if (text[0] != '\0') out.names.emplace_back(text.data());
    }
  }
  return out;
}

Certificates only_authorities(Certificates all) {
  const auto is_authority = [](const auto& one) { return X509_check_ca(one.get()) != 0; };
  if (std::ranges::any_of(all, is_authority)) std::erase_if(all, [&](const auto& one) { return !is_authority(one); });
  (void)openssl_reason();
  return all;
}

bool self_signed(const X509* certificate) {
  return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

std::string sha256_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), hash.data(), &size);
  return hex_of(hash.data(), size);
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr);
  return hex_of(hash.data(), size);
}

std::string span_text(std::chrono::microseconds span) {
  const auto seconds = std::chrono::abs(std::chrono::duration_cast<std::chrono::seconds>(span)).count();
  const struct {
    std::int64_t size;
    const char* name;
  } units[] = {{86'400, "day"}, {3'600, "hour"}, {60, "minute"}, {1, "second"}};
  for (const auto& unit : units) {
    const auto count = seconds / unit.size;
    if (count > 0 || unit.size == 1) return std::to_string(count) + " " + unit.name + (count == 1 ? "" : "s");
  }
  return {};
}

}  // namespace detection::tak
