// Enrolment without HTTP: addresses, the request, the answers in every form that servers were seen to give, and the
// folder that comes of it.

#include "tak/enrolment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tak/credentials.hpp"
#include "tak/test_certificates.hpp"

namespace detection::tak {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Pkcs12Cipher;
using testing::read_text;
using testing::TemporaryFolder;
using testing::TestAuthority;

std::string error_of(const auto& result) {
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? "" : result.error().detail;
}

/// PEM without its first and last line.
std::string bare(const std::string& pem) {
  const auto begin = pem.find('\n') + 1;
  return pem.substr(begin, pem.rfind("-----END") - begin);
}

std::string json_text(std::string text) {
  std::string out = "\"";
  for (const char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out + "\"";
}

TEST(EnrolmentAddress, IsReadInEveryForm) {
  const auto plain = parse_enrolment_address("https://tak.example.org");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->base_url(), "https://tak.example.org:8446");
  EXPECT_EQ(parse_enrolment_address("https://[::1]:9446/")->base_url(), "https://[::1]:9446");
  const auto link =
      parse_enrolment_address("tak://com.atakmap.app/enroll?host=tak.example.org&username=a%20b&token=x%2By%3D");
  ASSERT_TRUE(link);
  EXPECT_EQ(link->base_url(), "https://tak.example.org:8446");
  EXPECT_EQ(link->username, "a b");
  EXPECT_EQ(link->token, "x+y=");
  EXPECT_EQ(parse_enrolment_address("tak://com.atakmap.app/enroll?host=h:1234")->port, 1234);
}

TEST(EnrolmentAddress, WhatIsNoneIsRefusedWithoutRepeatingASecret) {
  for (const auto* text : {"", "http://h:8446", "https://", "https://h:0", "https://h:99999", "https://h/path",
                           "https://h:1x", "https://a b", "https://[::1", "tak://com.atakmap.app/other?host=h",
                           "tak://com.atakmap.app/enroll", "tak://com.atakmap.app/enroll?host=%zz",
                           "tak://com.atakmap.app/enroll?host=h%00", "tak://com.atakmap.app/enroll?token=x"})
    EXPECT_FALSE(parse_enrolment_address(text)) << text;
  EXPECT_THAT(error_of(parse_enrolment_address("https://me:secret@h:8446")), ::testing::Not(HasSubstr("secret")));
}

TEST(CertificateConfig, IsReadWhateverItsNamespaceAndAge) {
  const std::vector<NameEntry> wanted{{"O", "TAK & Co"}, {"OU", "Site"}};
  const auto now = parse_certificate_config(
      "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><ns2:certificateConfig "
      "xmlns:ns2=\"com.bbn.marti.config\"><nameEntries><nameEntry name=\"O\" value=\"TAK &amp; Co\"/><nameEntry "
      "name=\"OU\" "
      "value=\"Site\"/><nameEntry name=\"CN\" value=\"x\"/></nameEntries></ns2:certificateConfig>");
  ASSERT_TRUE(now) << now.error().detail;
  EXPECT_EQ(*now, wanted);
  const auto older = parse_certificate_config(
      "<certificateConfig xmlns='http://bbn.com/marti/xml/config'><entry name='O' value='TAK &amp; Co'/><entry "
      "name='OU' "
      "value='Site'/></certificateConfig>");
  ASSERT_TRUE(older);
  EXPECT_EQ(*older, wanted);
  EXPECT_EQ(*parse_certificate_config("<certificateConfig/>"), std::vector<NameEntry>());
}

TEST(CertificateConfig, WhatIsNoneIsRefused) {
  EXPECT_THAT(error_of(parse_certificate_config("<html><body>login</body></html>")), HasSubstr("<html>"));
  EXPECT_FALSE(parse_certificate_config("not xml"));
  std::string many = "<certificateConfig>";
  for (int i = 0; i < 40; ++i) many += "<nameEntry name='OU' value='x'/>";
  EXPECT_FALSE(parse_certificate_config(many + "</certificateConfig>"));
}

TEST(SigningRequest, CarriesEveryNameAndTheUser) {
  const auto request = make_signing_request("feeder 1", {{"O", "TAK"}, {"OU", "Site é"}});
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_TRUE(request->request_pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
  EXPECT_EQ(testing::request_subject(request->request_pem), "CN=feeder 1,OU=Site \\C3\\A9,O=TAK");
  EXPECT_THAT(error_of(make_signing_request("u", {{"NOSUCH", "x"}})), HasSubstr("NOSUCH"));
  EXPECT_FALSE(make_signing_request("u", {{"C", "too long for a country"}}));
  EXPECT_FALSE(make_signing_request("", {}));
}

class EnrolmentAnswer : public ::testing::Test {
 protected:
  [[nodiscard]] Result<EnrolledCredentials> read(std::string_view body) const {
    return read_enrolment_answer(body, request_, system_now());
  }
  /// What a server of these authorities would give.
  void expect_good(const Result<EnrolledCredentials>& answer) const {
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->files.at("tls.crt"), signed_ + middle_.certificate());
    EXPECT_EQ(answer->files.at("tls.key"), request_.key_pem);
    EXPECT_EQ(answer->files.at("ca.crt"), middle_.certificate() + root_.certificate());
    EXPECT_EQ(answer->subject, "CN=feeder,O=TAK");
    EXPECT_EQ(answer->issuer, "CN=Middle CA");
    EXPECT_GT(answer->expires, system_now());
  }

  TestAuthority root_{"Root CA"};
  TestAuthority middle_{"Middle CA", root_};
  SigningRequest request_ = *make_signing_request("feeder", {{"O", "TAK"}});
  std::string signed_ = middle_.sign(request_.request_pem);
};

TEST_F(EnrolmentAnswer, JsonWithBareBase64) {
  expect_good(read("{\"signedCert\":" + json_text(bare(signed_)) + ",\"ca0\":" +
                   json_text(bare(middle_.certificate())) + ",\"ca1\":" + json_text(bare(root_.certificate())) + "}"));
  expect_good(read(" {\"signedCert\":" + json_text(signed_) + ",\"ca0\":" + json_text(middle_.certificate()) +
                   ",\"ca1\":" + json_text(root_.certificate()) + "}"));
}

TEST_F(EnrolmentAnswer, Xml) {
  expect_good(read("<?xml version='1.0'?><enrollment><signedCert>" + bare(signed_) + "</signedCert><ca>" +
                   bare(middle_.certificate()) + "</ca><ca>" + bare(root_.certificate()) + "</ca></enrollment>"));
}

TEST_F(EnrolmentAnswer, Pkcs12OfVersionOne) {
  expect_good(read(testing::make_pkcs12({}, {signed_, middle_.certificate(), root_.certificate()}, "atakatak",
                                        Pkcs12Cipher::kTripleDes)));
}

TEST_F(EnrolmentAnswer, WithoutAuthoritiesLeavesThoseThatAreThere) {
  const auto answer = read("{\"signedCert\":" + json_text(bare(signed_)) + "}");
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->files.contains("ca.crt"));
}

TEST_F(EnrolmentAnswer, WhatIsNoneIsSaid) {
  EXPECT_THAT(error_of(read("")), HasSubstr("neither JSON, XML nor PKCS#12"));
  EXPECT_THAT(error_of(read("{}")), HasSubstr("no signedCert"));
  EXPECT_THAT(error_of(read("{\"signedCert\":\"!!!\"}")), HasSubstr("cannot be read"));
  EXPECT_THAT(error_of(read("[1]")), HasSubstr("neither"));
  EXPECT_THAT(error_of(read("<enrollment/>")), HasSubstr("no signedCert"));
  EXPECT_THAT(error_of(read("0abc")), HasSubstr("PKCS#12"));
  EXPECT_THAT(error_of(read(std::string(2u << 20, '{'))), HasSubstr("larger than"));
  const auto foreign = middle_.client("other").certificate;
  EXPECT_THAT(error_of(read("{\"signedCert\":" + json_text(foreign) + "}")), HasSubstr("no certificate for the key"));
  const auto later = UtcMicros{system_now().count + std::chrono::microseconds(std::chrono::hours{24 * 60}).count()};
  EXPECT_THAT(error_of(read_enrolment_answer("{\"signedCert\":" + json_text(signed_) + "}", request_, later)),
              HasSubstr("has expired"));
}

TEST(Renewal, IsDueSevenDaysBefore) {
  const UtcMicros now{1'000'000'000'000'000};
  const auto in = [&](std::chrono::hours span) { return now + span; };
  EXPECT_FALSE(renewal_due(in(std::chrono::hours{169}), now));
  EXPECT_TRUE(renewal_due(in(std::chrono::hours{168}), now));
  EXPECT_TRUE(renewal_due(in(std::chrono::hours{-1}), now));
  EXPECT_FALSE(renewal_due(in(std::chrono::hours{2}), now, std::chrono::hours{1}));
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

TEST(CredentialsFolderWriting, MakesAPrivateFolder) {
  const TemporaryFolder top;
  const auto folder = top.path() / "a" / "b";
  ASSERT_TRUE(write_credentials_folder(folder, {{"tls.key", "k"}, {"tls.crt", "c"}, {"ca.crt", ""}}));
  EXPECT_THAT(names_in(folder), ElementsAre("tls.crt", "tls.key"));
  EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(folder / "tls.key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_THAT(names_in(top.path() / "a"), ElementsAre("b")) << "nothing is left beside it";
}

TEST(CredentialsFolderWriting, ReplacesInOneStepAndKeepsTheRest) {
  const TemporaryFolder top;
  const auto folder = top.path() / "credentials";
  fs::create_directory(folder);
  top.write("credentials/username", "feeder");
  top.write("credentials/tls.crt", "old");
  fs::permissions(folder, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
  CredentialsWatch watch(folder);
  ASSERT_TRUE(write_credentials_folder(folder / "", {{"tls.crt", "new"}, {"tls.key", "key"}}));
  EXPECT_THAT(names_in(folder), ElementsAre("tls.crt", "tls.key", "username"));
  EXPECT_EQ(read_text(folder / "tls.crt"), "new");
  EXPECT_EQ(read_text(folder / "username"), "feeder");
  EXPECT_NE(fs::status(folder).permissions() & fs::perms::group_read, fs::perms::none);
  EXPECT_THAT(names_in(top.path()), ElementsAre("credentials"));
  EXPECT_TRUE(watch.changed());
}

TEST(CredentialsFolderWriting, MountedSecretIsLeftAlone) {
  const TemporaryFolder top;
  const auto folder = top.path() / "secret";
  fs::create_directories(folder / "..1");
  top.write("secret/..1/tls.crt", "old");
  fs::create_directory_symlink("..1", folder / "..data");
  fs::create_symlink("..data/tls.crt", folder / "tls.crt");
  const auto written = write_credentials_folder(folder, {{"tls.key", "key"}});
  EXPECT_THAT(error_of(written), AllOf(HasSubstr("mounted secret"), HasSubstr("another folder")));
  EXPECT_EQ(read_text(folder / "tls.crt"), "old");
  EXPECT_THAT(names_in(top.path()), ElementsAre("secret"));
}

TEST(CredentialsFolderWriting, FileInTheWayIsSaid) {
  const TemporaryFolder top;
  const auto file = top.write("file", "x");
  EXPECT_THAT(error_of(write_credentials_folder(file, {{"tls.key", "key"}})), HasSubstr("is no folder"));
  EXPECT_THAT(error_of(write_credentials_folder(file / "below", {{"tls.key", "key"}})),
              HasSubstr("no folder can be made"));
}

}  // namespace
}  // namespace detection::tak
