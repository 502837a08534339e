// The credentials folder: every form that it may have, and what is said of one that does not work.

#include "tak/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tak/certificate.hpp"
#include "tak/test_certificates.hpp"

namespace detection::tak {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Identity;
using ::testing::IsEmpty;
using testing::KeyForm;
using testing::make_pkcs12;
using ::testing::Not;
using testing::Pkcs12Cipher;
using testing::TemporaryFolder;
using testing::TestAuthority;

class CredentialsFolder : public ::testing::Test {
 protected:
  [[nodiscard]] Result<CredentialsPointer> load() const { return load_credentials(folder_.path(), system_now()); }
  [[nodiscard]] CredentialsPointer good() const {
    auto loaded = load();
    EXPECT_TRUE(loaded.has_value()) << loaded.error().detail;
    return loaded ? *loaded : std::make_shared<const Credentials>();
  }
  [[nodiscard]] std::string error() const {
    const auto loaded = load();
    EXPECT_FALSE(loaded.has_value());
    return loaded ? "" : loaded.error().detail;
  }
  void put(const Identity& identity) const {
    folder_.write("tls.crt", identity.certificate);
    folder_.write("tls.key", identity.key);
  }

  TemporaryFolder folder_;
  TestAuthority authority_{"Test CA"};
  Identity feeder_ = authority_.client("feeder");
};

TEST_F(CredentialsFolder, AllFilesAreRead) {
  put(feeder_);
  folder_.write("ca.crt", authority_.certificate());
  folder_.write("username", "feeder\n");
  folder_.write("password", "pass word\r\n");
  folder_.write("endpoint", "tak.example.org:8089\n");
  const auto all = good();
  EXPECT_EQ(all->username, "feeder");
  EXPECT_EQ(all->password, "pass word");
  EXPECT_EQ(all->endpoint, "tls://tak.example.org:8089");
  EXPECT_EQ(all->certificate_pem, feeder_.certificate);
  EXPECT_EQ(all->authorities_pem, authority_.certificate());
  EXPECT_EQ(all->certificate_subject, "CN=feeder");
  EXPECT_EQ(all->certificate_issuer, "CN=Test CA");
  ASSERT_TRUE(all->certificate_expires);
  const auto left = *all->certificate_expires - system_now();
  EXPECT_GT(left, std::chrono::hours{23});
  EXPECT_LE(left, std::chrono::hours{24});
  EXPECT_THAT(all->warnings, IsEmpty());
}

TEST_F(CredentialsFolder, EmptyFilesCountAsAbsent) {
  for (const auto* name : {"username", "password", "endpoint", "tls.crt", "tls.key", "ca.crt"})
    folder_.write(name, "\n");
  const auto none = good();
  EXPECT_TRUE(none->username.empty() && none->certificate_pem.empty() && none->endpoint.empty());
  EXPECT_THAT(none->warnings, ElementsAre(HasSubstr("holds none of username")));
}

TEST_F(CredentialsFolder, FolderThatIsNotThereIsNamed) {
  const auto missing = load_credentials(folder_.path() / "missing", system_now());
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().detail, AllOf(HasSubstr("/missing"), HasSubstr("no folder")));
}

TEST_F(CredentialsFolder, EndpointInEveryForm) {
  const auto url = [](const char* text, bool tls) { return endpoint_url(text, tls).value_or("refused"); };
  EXPECT_EQ(url("h:8087", false), "tcp://h:8087");
  EXPECT_EQ(url("h:8089", true), "tls://h:8089");
  EXPECT_EQ(url("h:8089:ssl", false), "tls://h:8089");
  EXPECT_EQ(url("h:8087:tcp", true), "tcp://h:8087");
  EXPECT_EQ(url("[::1]:8089:ssl", false), "tls://[::1]:8089");
  EXPECT_EQ(url("udp://239.2.3.1:6969", true), "udp://239.2.3.1:6969");
  EXPECT_EQ(url("tls://h:8089?expected_name=tak", false), "tls://h:8089?expected_name=tak");
  EXPECT_EQ(url("h", true), "refused");
  EXPECT_EQ(url("h:0", true), "refused");
  folder_.write("endpoint", "nonsense");
  EXPECT_THAT(error(), AllOf(HasSubstr("endpoint"), HasSubstr("port")));
}

TEST_F(CredentialsFolder, KeyInEveryForm) {
  folder_.write("tls.crt", feeder_.certificate);
  for (const auto form :
       {KeyForm::kPkcs8, KeyForm::kTraditional, KeyForm::kPkcs8Encrypted, KeyForm::kTraditionalEncrypted}) {
    folder_.write("tls.key", testing::key_in_form(feeder_.key, form, "open sesame"));
    folder_.write("tls.key.password", "open sesame\n");
    EXPECT_EQ(good()->key_pem, feeder_.key) << static_cast<int>(form);
  }
  folder_.write("tls.key.password", "wrong");
  EXPECT_THAT(error(),
              AllOf(HasSubstr("tls.key"), HasSubstr("does not open with the passphrase"), Not(HasSubstr("wrong"))));
  fs::remove(folder_.path() / "tls.key.password");
  EXPECT_THAT(error(), HasSubstr("is encrypted: put its passphrase into the file tls.key.password"));
}

TEST_F(CredentialsFolder, KeyThatDoesNotMatchIsSaid) {
  put({feeder_.certificate, authority_.client("other").key});
  EXPECT_THAT(error(), AllOf(HasSubstr("tls.key is not the key of the certificate in"), HasSubstr("CN=feeder")));
  put({authority_.certificate() + feeder_.certificate, feeder_.key});
  EXPECT_THAT(error(), HasSubstr("is the key of certificate 2"));
}

TEST_F(CredentialsFolder, MissingHalfIsSaid) {
  folder_.write("tls.crt", feeder_.certificate);
  EXPECT_THAT(error(), HasSubstr("tls.key is missing"));
  fs::remove(folder_.path() / "tls.crt");
  folder_.write("tls.key", feeder_.key);
  EXPECT_THAT(error(), HasSubstr("tls.crt is missing"));
}

TEST_F(CredentialsFolder, RubbishIsSaidByName) {
  put({"hello", feeder_.key});
  EXPECT_THAT(error(), AllOf(HasSubstr("tls.crt holds no certificate in PEM form")));
  put({feeder_.certificate, "hello"});
  EXPECT_THAT(error(), HasSubstr("tls.key holds no private key in PEM form"));
  put({std::string("\x30\x82\x01\x02", 4), feeder_.key});
  EXPECT_THAT(error(), HasSubstr("openssl x509 -inform der"));
  put({feeder_.certificate.substr(0, 200) + "\n-----END CERTIFICATE-----\n", feeder_.key});
  EXPECT_THAT(error(), HasSubstr("tls.crt holds a certificate that cannot be read"));
  put(feeder_);
  folder_.write("ca.crt", std::string(2u << 20, 'x'));
  EXPECT_THAT(error(), HasSubstr("ca.crt is larger than 1 MiB"));
}

TEST_F(CredentialsFolder, ExpiredCertificateIsAWarningThatSaysSince) {
  put(authority_.issue({.common_name = "old", .starts = std::chrono::hours{-100}, .ends = std::chrono::hours{-73}}));
  folder_.write("ca.crt", authority_.certificate());
  EXPECT_THAT(good()->warnings,
              ElementsAre(AllOf(HasSubstr("CN=old"), HasSubstr("expired 3 days ago"), HasSubstr("enrol"))));
  put(authority_.issue({.common_name = "new", .starts = std::chrono::hours{5}}));
  EXPECT_THAT(good()->warnings, ElementsAre(AllOf(HasSubstr("not yet valid"), HasSubstr("clock"))));
}

TEST_F(CredentialsFolder, CertificateWithoutItsChainIsAWarning) {
  const TestAuthority middle("Middle CA", authority_);
  const auto client = middle.client("feeder");
  put(client);
  folder_.write("ca.crt", authority_.certificate());
  EXPECT_THAT(good()->warnings, ElementsAre(AllOf(HasSubstr("without its chain"), HasSubstr("CN=Middle CA"))));
  put({client.certificate + middle.certificate(), client.key});
  EXPECT_THAT(good()->warnings, IsEmpty());
  EXPECT_EQ(good()->certificate_pem, client.certificate + middle.certificate());
}

TEST_F(CredentialsFolder, Pkcs12OfEveryCipherIsRead) {
  for (const auto cipher : {Pkcs12Cipher::kAes256, Pkcs12Cipher::kTripleDes, Pkcs12Cipher::kRc2_40}) {
    const auto bytes = make_pkcs12(feeder_, {authority_.certificate()}, "atakatak", cipher);
    if (bytes.empty()) GTEST_SKIP() << "this OpenSSL has no legacy provider, so no RC2-40 file can be made";
    folder_.write("feeder.p12", bytes);
    const auto loaded = good();
    EXPECT_EQ(loaded->certificate_subject, "CN=feeder");
    EXPECT_EQ(loaded->key_pem, feeder_.key);
    EXPECT_EQ(loaded->authorities_pem, authority_.certificate());
    EXPECT_THAT(loaded->warnings, IsEmpty());
  }
}

TEST_F(CredentialsFolder, OldPkcs12WithoutTheLegacyProviderSaysHowToConvert) {
  const auto bytes = make_pkcs12(feeder_, {}, "atakatak", Pkcs12Cipher::kRc2_40);
  if (bytes.empty()) GTEST_SKIP() << "this OpenSSL has no legacy provider, so no RC2-40 file can be made";
  const auto content = read_pkcs12(bytes, "atakatak", "x.p12", false);
  ASSERT_FALSE(content);
  EXPECT_THAT(content.error().detail,
              AllOf(HasSubstr("x.p12"), HasSubstr("openssl pkcs12 -legacy -in"), HasSubstr("RC2-40")));
}

TEST_F(CredentialsFolder, Pkcs12WithATrustStoreBeside) {
  folder_.write("feeder.p12", make_pkcs12(feeder_, {}, "secret", Pkcs12Cipher::kAes256));
  folder_.write("truststore.p12", make_pkcs12({}, {authority_.certificate()}, "secret", Pkcs12Cipher::kAes256));
  EXPECT_THAT(error(), AllOf(HasSubstr("habitual password atakatak"), HasSubstr("p12.password")));
  folder_.write("p12.password", "not it");
  EXPECT_THAT(error(), HasSubstr("does not open with the password in p12.password"));
  folder_.write("p12.password", "secret\n");
  EXPECT_EQ(good()->certificate_pem, feeder_.certificate);
  EXPECT_EQ(good()->authorities_pem, authority_.certificate());
  folder_.write("second.p12", make_pkcs12(authority_.client("b"), {}, "secret", Pkcs12Cipher::kAes256));
  EXPECT_THAT(error(), AllOf(HasSubstr("feeder.p12"), HasSubstr("second.p12"), HasSubstr("keep one")));
  put(feeder_);
  EXPECT_THAT(good()->warnings, ElementsAre(HasSubstr("feeder.p12 is not used"), HasSubstr("second.p12 is not used")));
}

TEST_F(CredentialsFolder, WhatIsNoPkcs12IsSaid) {
  folder_.write("feeder.p12", "hello");
  EXPECT_THAT(error(), HasSubstr("feeder.p12 is no PKCS#12 file"));
  folder_.write("feeder.p12", "\xFE\xED\xFE\xED\x01\x02");
  EXPECT_THAT(error(), HasSubstr("keytool -importkeystore"));
}

TEST_F(CredentialsFolder, FingerprintTellsContentsApart) {
  put(feeder_);
  const auto first = good()->fingerprint;
  EXPECT_EQ(first, good()->fingerprint);
  folder_.write("password", "a");
  const auto second = good()->fingerprint;
  EXPECT_NE(first, second);
  folder_.write("password", "b");
  EXPECT_NE(second, good()->fingerprint);
}

TEST_F(CredentialsFolder, ChangesAreNoticedOnce) {
  put(feeder_);
  CredentialsWatch watch(folder_.path());
  EXPECT_FALSE(watch.changed());
  folder_.write("password", "longer than before");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  folder_.write("x.p12", "new file");
  EXPECT_TRUE(watch.changed());
  fs::remove(folder_.path() / "x.p12");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
}

/// As the kubelet does: ..data is a link to a folder, swapped as a whole.
TEST_F(CredentialsFolder, SwappedSecretIsNoticedAndReadWhole) {
  const auto generation = [&](const char* name, const Identity& identity) {
    fs::create_directory(folder_.path() / name);
    folder_.write(std::string(name) + "/tls.crt", identity.certificate);
    folder_.write(std::string(name) + "/tls.key", identity.key);
    fs::create_directory_symlink(name, folder_.path() / "..data_tmp");
    fs::rename(folder_.path() / "..data_tmp", folder_.path() / "..data");
  };
  generation("..1", feeder_);
  for (const auto* name : {"tls.crt", "tls.key"}) fs::create_symlink(fs::path("..data") / name, folder_.path() / name);
  CredentialsWatch watch(folder_.path());
  EXPECT_EQ(good()->certificate_pem, feeder_.certificate);
  const auto renewed = authority_.client("feeder");
  generation("..2", renewed);
  fs::remove_all(folder_.path() / "..1");
  EXPECT_TRUE(watch.changed());
  EXPECT_EQ(good()->certificate_pem, renewed.certificate);
  EXPECT_FALSE(watch.changed());
}

}  // namespace
}  // namespace detection::tak
