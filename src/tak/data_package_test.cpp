// Connection data packages: as servers make them, and as somebody hostile might.

#include "tak/data_package.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "tak/credentials.hpp"
#include "tak/test_certificates.hpp"
#include "tak/test_zip.hpp"
#include "test_paths.hpp"

namespace detection::tak {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Identity;
using ::testing::IsEmpty;
using testing::make_pkcs12;
using testing::Pkcs12Cipher;
using testing::read_text;
using testing::TemporaryFolder;
using testing::TestAuthority;

using Entries = testing::ZipEntries;
using testing::make_zip;

std::string preference(const std::string& connect, const std::string& more) {
  return "<?xml version='1.0' encoding='ASCII' standalone='yes'?><preferences><preference version=\"1\" "
         "name=\"cot_streams\"><entry key=\"count\" class=\"class java.lang.Integer\">1</entry><entry "
         "key=\"connectString0\" class=\"class java.lang.String\">" +
         connect +
         "</entry><entry key=\"description0\">Site</entry></preference><preference version=\"1\" "
         "name=\"com.atakmap.app_preferences\">" +
         more + "</preference></preferences>";
}

std::string locations(const std::string& client = "cert/feeder.p12",
                      const std::string& authority = "cert/truststore.p12") {
  return "<entry key=\"clientPassword\">atakatak</entry><entry key=\"caPassword\">atakatak</entry><entry "
         "key=\"certificateLocation\">" +
         client + "</entry><entry key=\"caLocation\">" + authority + "</entry>";
}

constexpr const char* kManifest =
    "<MissionPackageManifest version=\"2\"><Configuration><Parameter name=\"uid\" value=\"u\"/><Parameter "
    "name=\"name\" "
    "value=\"Site connection\"/></Configuration><Contents><Content ignore=\"false\" "
    "zipEntry=\"certs/preference.pref\"/></Contents></MissionPackageManifest>";

class DataPackage : public ::testing::Test {
 protected:
  [[nodiscard]] std::string client_p12() const {
    return make_pkcs12(feeder_, {authority_.certificate()}, "atakatak", Pkcs12Cipher::kTripleDes);
  }
  [[nodiscard]] std::string trust_p12() const {
    return make_pkcs12({}, {authority_.certificate()}, "atakatak", Pkcs12Cipher::kTripleDes);
  }
  [[nodiscard]] static std::string error(const Entries& entries, const PackageLimits& limits = {}) {
    const auto package = read_data_package(make_zip(entries), limits);
    EXPECT_FALSE(package.has_value());
    return package ? "" : package.error().detail;
  }

  TestAuthority authority_{"Site CA"};
  Identity feeder_ = authority_.client("feeder");
};

TEST_F(DataPackage, BecomesACredentialsFolder) {
  const auto package =
      read_data_package(make_zip({{"MANIFEST/manifest.xml", kManifest},
                                  {"certs/preference.pref", preference("tak.example.org:8089:ssl", locations())},
                                  {"certs/feeder.p12", client_p12()},
                                  {"certs/truststore.p12", trust_p12()}}));
  ASSERT_TRUE(package) << package.error().detail;
  EXPECT_EQ(package->name, "Site connection");
  EXPECT_EQ(package->endpoint, "tls://tak.example.org:8089");
  EXPECT_EQ(package->subject, "CN=feeder");
  const TemporaryFolder top;
  const auto folder = top.path() / "credentials";
  ASSERT_TRUE(write_credentials_folder(folder, package->files));
  const auto loaded = load_credentials(folder, system_now());
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ((*loaded)->endpoint, "tls://tak.example.org:8089");
  EXPECT_EQ((*loaded)->key_pem, feeder_.key);
  EXPECT_EQ((*loaded)->authorities_pem, authority_.certificate());
  EXPECT_THAT((*loaded)->warnings, IsEmpty());
}

TEST_F(DataPackage, FilesAreFoundByBaseNameWhateverTheFolder) {
  const auto package = read_data_package(
      make_zip({{"config.pref", preference("h:8089:ssl", locations("/storage/emulated/0/atak/cert/FEEDER.p12"))},
                {"x/y/feeder.p12", client_p12()},
                {"truststore.p12", trust_p12()}}));
  ASSERT_TRUE(package) << package.error().detail;
  EXPECT_EQ(package->subject, "CN=feeder");
  EXPECT_EQ(package->name, "");
}

TEST_F(DataPackage, SettingsOfTheStreamGoBeforeThoseOfAll) {
  const auto read = parse_connection_preference(preference(
      "h:8089:ssl", locations() + "<entry key=\"clientPassword0\">own</entry><entry "
                                  "key=\"certificateLocation0\">c\\own.p12</entry><entry key=\"connectString1\">"
                                  "second:8087:tcp</entry>"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->client_file, "own.p12");
  EXPECT_EQ(read->client_password, "own");
  EXPECT_EQ(read->authority_file, "truststore.p12");
  ASSERT_EQ(read->streams.size(), 2U);
  EXPECT_EQ(read->streams[0].description, "Site");
  EXPECT_EQ(read->streams[1].url, "tcp://second:8087");
}

TEST_F(DataPackage, WithoutClientCertificateLeavesEnrolment) {
  const auto package = read_data_package(
      make_zip({{"a.pref", preference("h:8089:ssl", locations("", "ca.p12"))}, {"ca.p12", trust_p12()}}));
  ASSERT_TRUE(package) << package.error().detail;
  EXPECT_EQ(package->subject, "");
  EXPECT_FALSE(package->files.contains("tls.crt"));
  EXPECT_EQ(package->files.at("ca.crt"), authority_.certificate());
}

TEST_F(DataPackage, MissingPartsAreNamed) {
  EXPECT_THAT(error({{"readme.txt", "hello"}}), HasSubstr("no preference file"));
  EXPECT_THAT(error({{"a.pref", preference("h:8089:ssl", locations())}}),
              HasSubstr("'feeder.p12', which the package does not have"));
  EXPECT_THAT(error({{"a.pref", preference("", "")}}), HasSubstr("names no server"));
  EXPECT_THAT(error({{"a.pref", "<preferences/>"}}), HasSubstr("names no server"));
  EXPECT_THAT(error({{"a.pref", "<preferences"}}), HasSubstr("preference file is unreadable"));
  EXPECT_THAT(error({{"a.pref", preference("h:1:quic", "")}}), HasSubstr("'h:1:quic' is not HOST:PORT"));
  EXPECT_THAT(error({{"a.pref", ""}, {"b.pref", ""}}), HasSubstr("several preference files"));
  EXPECT_THAT(error({{"MANIFEST/manifest.xml", "<x/>"}, {"a.pref", ""}}), HasSubstr("no MissionPackageManifest"));
}

TEST_F(DataPackage, PasswordThatDoesNotFitIsSaidAndNotShown) {
  const auto p12 = make_pkcs12(feeder_, {}, "other", Pkcs12Cipher::kAes256);
  EXPECT_THAT(error({{"a.pref", preference("h:8089:ssl", locations())}, {"feeder.p12", p12}}),
              AllOf(HasSubstr("'feeder.p12' does not open with the password"), ::testing::Not(HasSubstr("atakatak"))));
  EXPECT_THAT(error({{"a.pref", preference("h:8089:ssl", locations())}, {"feeder.p12", trust_p12()}}),
              HasSubstr("holds no private key"));
}

TEST_F(DataPackage, NamesThatLeaveTheirFolderAreRefused) {
  for (const auto* name : {"../x.p12", "a/../../x", "/etc/passwd", "a\\..\\x", "c:x", ".."})
    EXPECT_THAT(error({{"a.pref", preference("h:8089:ssl", "")}, {name, "x"}}), HasSubstr("not to be trusted")) << name;
}

TEST_F(DataPackage, BombsAreNotUnpacked) {
  const std::string zeros(8u << 20, '0');
  EXPECT_THAT(error({{"a.pref", zeros}}), HasSubstr("larger than 1024 KiB"));
  EXPECT_THAT(error({{"a.pref", preference("h:8089:ssl", locations())}, {"feeder.p12", zeros}}),
              HasSubstr("larger than 1024 KiB"));
  Entries many;
  for (int i = 0; i < 300; ++i) many.emplace_back("n" + std::to_string(i), "");
  EXPECT_THAT(error(many), HasSubstr("more than 256 entries"));
  EXPECT_THAT(error({{std::string(300, 'n'), "x"}}), HasSubstr("impossible name"));
  EXPECT_FALSE(read_data_package(std::string((16u << 20) + 1, 'x')));
}

TEST_F(DataPackage, TwoDifferentFilesOfOneNameAreNoAnswer) {
  EXPECT_THAT(error({{"a.pref", preference("h:8089:ssl", locations())},
                     {"a/feeder.p12", client_p12()},
                     {"b/feeder.p12", trust_p12()}}),
              HasSubstr("two files 'feeder.p12' that are not the same"));
}

TEST_F(DataPackage, CutAndDamagedZipsAreRefused) {
  const auto whole = make_zip({{"a.pref", preference("h:8089:ssl", locations())},
                               {"feeder.p12", client_p12()},
                               {"truststore.p12", trust_p12()}});
  ASSERT_TRUE(read_data_package(whole));
  EXPECT_FALSE(read_data_package(""));
  EXPECT_FALSE(read_data_package("PK"));
  for (std::size_t size = 0; size < whole.size(); size += 41) EXPECT_FALSE(read_data_package(whole.substr(0, size)));
  for (std::size_t at = 0; at < whole.size(); at += 17) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x5a);
    const auto package = read_data_package(damaged);  // whatever comes of it, it is an answer
    EXPECT_TRUE(package || !package.error().detail.empty());
  }
}

int run(const std::string& command) {
  const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe): no other thread
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Made by a real server's own tool.
TEST_F(DataPackage, OfTakyIsRead) {
  const fs::path root = DETECTION_SOURCE_ROOT;
  if (run("'" + (root / "tests/peers/setup_venv.sh").string() + "' taky >&2") == 77)
    GTEST_SKIP() << "the Python environment of taky cannot be made: its package was not read";
  const auto bin = root / ".cache/venv/taky/bin";
  const TemporaryFolder top;
  const auto takyctl =
      "cd '" + top.path().string() + "' && '" + (bin / "python").string() + "' '" + (bin / "takyctl").string() + "' ";
  ASSERT_EQ(run(takyctl + "setup --host localhost --bind-ip 127.0.0.1 --public-ip 127.0.0.1 site >taky.log 2>&1"), 0)
      << read_text(top.path() / "taky.log");
  ASSERT_EQ(run(takyctl + "-c site/taky.conf build_client feeder >>taky.log 2>&1"), 0)
      << read_text(top.path() / "taky.log");
  const auto package = read_data_package(read_text(top.path() / "feeder.zip"));
  ASSERT_TRUE(package) << package.error().detail;
  EXPECT_EQ(package->endpoint, "tls://127.0.0.1:8089");
  EXPECT_THAT(package->subject, HasSubstr("CN=feeder"));
  EXPECT_EQ(package->files.at("ca.crt"), read_text(top.path() / "site/ssl/ca.crt"));
  ASSERT_TRUE(write_credentials_folder(top.path() / "credentials", package->files));
  const auto loaded = load_credentials(top.path() / "credentials", system_now());
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_THAT((*loaded)->warnings, IsEmpty());
}

}  // namespace
}  // namespace detection::tak
