#pragma once
// For tests: authorities, certificates and PKCS#12 files made at once (EC keys), and folders that go with the test.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"

namespace detection::tak::testing {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// In place. The file's whole path.
  std::filesystem::path write(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

[[nodiscard]] std::string read_text(const std::filesystem::path& path);

struct CertificateWishes {
  std::string common_name = "localhost";
  std::vector<std::string> dns{};        ///< of the SAN; both empty: no SAN at all
  std::vector<std::string> addresses{};  ///< likewise
  std::chrono::seconds starts{-3'600};   ///< from now
  std::chrono::seconds ends{86'400};     ///< from now
  bool authority = false;
};

/// A certificate and its key, PEM.
struct Identity {
  std::string certificate;
  std::string key;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& common_name);
  /// Signed by another authority.
  TestAuthority(const std::string& common_name, const TestAuthority& above);
  ~TestAuthority();
  [[nodiscard]] const std::string& certificate() const;  ///< PEM
  [[nodiscard]] Identity issue(const CertificateWishes& wishes) const;
  /// A server of that name, in its SAN; 127.0.0.1 too.
  [[nodiscard]] Identity server(const std::string& name = "localhost") const;
  [[nodiscard]] Identity client(const std::string& name) const;
  /// The certificate that a PEM request asks for, subject and key as they stand in it.
  [[nodiscard]] std::string sign(const std::string& request_pem) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class Pkcs12Cipher { kAes256, kTripleDes, kRc2_40 };
/// `identity` may be empty: a trust store. Empty when this OpenSSL has no such cipher.
[[nodiscard]] std::string make_pkcs12(const Identity& identity, const std::vector<std::string>& others,
                                      const std::string& password, Pkcs12Cipher cipher);

enum class KeyForm { kPkcs8, kPkcs8Encrypted, kTraditional, kTraditionalEncrypted };
[[nodiscard]] std::string key_in_form(const std::string& key_pem, KeyForm form, const std::string& passphrase);

/// Lower-case hex of the SHA-256 of a PEM certificate's DER form.
[[nodiscard]] std::string pin_of(const std::string& certificate_pem);
/// The subject of a PEM request, as "CN=name,O=organisation".
[[nodiscard]] std::string request_subject(const std::string& request_pem);

}  // namespace detection::tak::testing
