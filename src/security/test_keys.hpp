#pragma once
// Keys and tokens made by OpenSSL alone, for tests and benchmarks: a second opinion on what cjose does.

#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "security/jose.hpp"

namespace detection::security::testing {

inline constexpr std::string_view kHmacText = "0f9c51e2a7b34d6688ce1b2a7d5f4e3c0f9c51e2";
inline constexpr std::string_view kOtherHmacText = "7e1d08c4b96a4f53a1ce77d20b8f6e95c3b1a0d4";

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "security_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// In place: the same file if there is one.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
/// As careful programs do: beside it, then renamed.
inline void replace_file(const std::filesystem::path& path, std::string_view text) {
  const auto beside = path.parent_path() / ("." + path.filename().string() + ".new");
  write_file(beside, text);
  std::filesystem::rename(beside, path);
}

enum class Kind { kEc, kRsa, kEd25519 };
inline constexpr Kind kKinds[] = {Kind::kEc, Kind::kRsa, Kind::kEd25519};

class AsymmetricKey {
 public:
  explicit AsymmetricKey(Kind kind)
      : kind_(kind),
        key_(kind == Kind::kEc    ? EVP_EC_gen("P-256")
             : kind == Kind::kRsa ? EVP_RSA_gen(2048)
                                  : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")) {}
  [[nodiscard]] std::string private_pem() const { return pem(true); }
  [[nodiscard]] std::string public_pem() const { return pem(false); }
  [[nodiscard]] std::string_view algorithm() const {
    return kind_ == Kind::kEc ? "ES256" : kind_ == Kind::kRsa ? "RS256" : "EdDSA";
  }
  [[nodiscard]] std::string token(std::string_view header, std::string_view claims) const {
    const auto text = base64url_encode(header) + "." + base64url_encode(claims);
    return text + "." + base64url_encode(signature(text));
  }

 private:
  [[nodiscard]] std::string pem(bool is_private) const {
    const Bio bio(BIO_new(BIO_s_mem()));
    if (is_private)
      PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    else
      PEM_write_bio_PUBKEY(bio.get(), key_.get());
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }
  [[nodiscard]] std::string signature(std::string_view text) const {
    const DigestContext context(EVP_MD_CTX_new());
    std::size_t size = 0;
    EVP_DigestSignInit(context.get(), nullptr, kind_ == Kind::kEd25519 ? nullptr : EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), nullptr, &size, bytes(text), text.size());
    std::string out(size, '\0');
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes(text), text.size());
    out.resize(size);
    if (kind_ != Kind::kEc) return out;
    const unsigned char* der = bytes(out);  // a JWS has the two numbers side by side
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(out.size()));
    std::string raw(64, '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), reinterpret_cast<unsigned char*>(raw.data()), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
    ECDSA_SIG_free(pair);
    return raw;
  }

  Kind kind_;
  EvpKey key_;
};

inline std::string hmac_token(std::string_view header, std::string_view claims, std::string_view key = kHmacText,
                              const EVP_MD* hash = EVP_sha256()) {
  const auto text = base64url_encode(header) + "." + base64url_encode(claims);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(hash, key.data(), static_cast<int>(key.size()), bytes(text), text.size(), mac, &size);
  return text + "." + base64url_encode({reinterpret_cast<const char*>(mac), size});
}

/// A directory as Kubernetes mounts a Secret: files are links into ..data, itself a link that is swapped whole.
class MountedSecret {
 public:
  explicit MountedSecret(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
  }
  void publish(const std::vector<std::pair<std::string, std::string>>& files) {
    const auto version = "..2026_" + std::to_string(++version_);
    std::filesystem::create_directory(path_ / version);
    for (const auto& [name, text] : files) write_file(path_ / version / name, text);
    std::filesystem::create_directory_symlink(version, path_ / "..data_tmp");
    std::filesystem::rename(path_ / "..data_tmp", path_ / "..data");
    for (const auto& [name, text] : files)
      if (!std::filesystem::is_symlink(path_ / name)) std::filesystem::create_symlink("..data/" + name, path_ / name);
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      if (entry.is_symlink() && !std::filesystem::exists(entry.path())) std::filesystem::remove(entry.path());
    if (version_ > 1) std::filesystem::remove_all(path_ / ("..2026_" + std::to_string(version_ - 1)));
  }

 private:
  std::filesystem::path path_;
  int version_ = 0;
};

}  // namespace detection::security::testing
