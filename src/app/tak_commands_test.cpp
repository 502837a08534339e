// tak enroll, import and probe as a person runs them, against servers in this process.

#include "app/tak_commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>

#include "tak/credentials.hpp"
#include "tak/test_tls_server.hpp"
#include "tak/test_zip.hpp"

namespace detection::app {
namespace {

namespace fs = std::filesystem;
using tak::load_credentials;
using tak::testing::Identity;
using tak::testing::make_pkcs12;
using tak::testing::Pkcs12Cipher;
using tak::testing::read_text;
using tak::testing::TemporaryFolder;
using tak::testing::TestAuthority;
using tak::testing::TestPeer;
using tak::testing::TestTlsServer;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int code = -1;
  std::string out, err;
};

template <typename Action>
Outcome run(const Action& action) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome done;
  done.code = action();
  done.out = ::testing::internal::GetCapturedStdout();
  done.err = ::testing::internal::GetCapturedStderr();
  return done;
}

enum class Answers { kJson, kXml, kOnlyVersionOne, kRefuses, kNoEnrolment };

/// A TAK server's enrolment port.
class EnrolmentServer {
 public:
  EnrolmentServer(const TestAuthority& authority, const Identity& identity, Answers answers)
      : authority_(authority),
        answers_(answers),
        server_({.identity = identity}, [this](const TestPeer& peer) { serve(peer); }) {}

  [[nodiscard]] std::string url() const { return "https://127.0.0.1:" + std::to_string(server_.port()); }
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }

 private:
  void serve(const TestPeer& peer) {
    std::string text;
    std::size_t whole = std::string::npos;
    while (text.size() < whole) {
      const auto more = peer.read();
      if (more.empty()) return;
      text += more;
      const auto head = text.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const auto length = text.find("Content-Length: ");
      whole = head + 4 + (length < head ? std::stoul(text.substr(length + 16)) : 0);
    }
    {
      const std::scoped_lock lock(mutex_);
      requests_.push_back(text);
    }
    const auto [status, body] = answer(text);
    peer.write("HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  [[nodiscard]] std::pair<std::string, std::string> answer(const std::string& request) const {
    if (answers_ == Answers::kNoEnrolment) return {"404 Not Found", ""};
    // feeder:secret
    if (answers_ == Answers::kRefuses || request.find("Authorization: Basic ZmVlZGVyOnNlY3JldA==") == std::string::npos)
      return {"401 Unauthorized", ""};
    if (request.starts_with("GET /Marti/api/tls/config "))
      return {
          "200 OK",
          "<ns2:certificateConfig xmlns:ns2=\"com.bbn.marti.config\"><nameEntries><nameEntry name=\"O\" value=\"TAK\"/>"
          "</nameEntries></ns2:certificateConfig>"};
    const bool second = request.starts_with("POST /Marti/api/tls/signClient/v2?clientUid=detection-api&version=");
    const bool first = request.starts_with("POST /Marti/api/tls/signClient?clientUid=detection-api&version=");
    if (!first && (!second || answers_ == Answers::kOnlyVersionOne)) return {"404 Not Found", ""};
    const auto certificate = authority_.sign(request.substr(request.find("-----BEGIN")));
    if (first)
      return {"200 OK", make_pkcs12({}, {certificate, authority_.certificate()}, "atakatak", Pkcs12Cipher::kTripleDes)};
    if (answers_ == Answers::kXml)
      return {"200 OK", "<enrollment><signedCert>" + certificate + "</signedCert><ca>" + authority_.certificate() +
                            "</ca></enrollment>"};
    return {"200 OK", nlohmann::json{{"signedCert", certificate}, {"ca0", authority_.certificate()}}.dump()};
  }

  const TestAuthority& authority_;
  Answers answers_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  TestTlsServer server_;
};

class TakCommands : public ::testing::Test {
 protected:
  TakCommands() {
    top_.write("ca.crt", authority_.certificate());
    top_.write("password", "secret\n");
  }
  [[nodiscard]] std::string path(const char* name) const { return (top_.path() / name).string(); }
  [[nodiscard]] TakEnrollArguments arguments(const EnrolmentServer& server) const {
    TakEnrollArguments out;
    out.url = server.url();
    out.username = "feeder";
    out.password_file = path("password");
    out.output = path("credentials");
    out.ca_file = path("ca.crt");
    return out;
  }
  static Outcome enroll(const TakEnrollArguments& arguments) {
    return run([&] { return tak_enroll(arguments); });
  }
  [[nodiscard]] tak::CredentialsPointer credentials() const {
    const auto loaded = load_credentials(path("credentials"), system_now());
    EXPECT_TRUE(loaded) << loaded.error().detail;
    return loaded ? *loaded : std::make_shared<const tak::Credentials>();
  }

  TestAuthority authority_{"Site CA"};
  TemporaryFolder top_;
};

TEST_F(TakCommands, EnrollInEveryFormOfAnswer) {
  for (const auto answers : {Answers::kJson, Answers::kXml, Answers::kOnlyVersionOne}) {
    fs::remove_all(path("credentials"));
    const EnrolmentServer server(authority_, authority_.server(), answers);
    const auto done = enroll(arguments(server));
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_THAT(done.out, AllOf(HasSubstr("CN=feeder,O=TAK"), HasSubstr("issued by CN=Site CA"),
                                HasSubstr("tak probe tls://127.0.0.1:8089")));
    EXPECT_EQ(credentials()->certificate_subject, "CN=feeder,O=TAK");
    EXPECT_EQ(credentials()->authorities_pem, authority_.certificate());
    for (const auto& request : server.requests()) EXPECT_THAT(request, Not(HasSubstr("PRIVATE KEY")));
  }
}

TEST_F(TakCommands, EnrollByLinkAndPin) {
  const auto identity = authority_.issue({.common_name = "takserver"});
  const EnrolmentServer server(authority_, identity, Answers::kJson);
  TakEnrollArguments asked;
  asked.url = "tak://com.atakmap.app/enroll?host=" + server.url().substr(8) + "&username=feeder&token=secret";
  asked.output = path("credentials");
  asked.pin_sha256 = tak::testing::pin_of(identity.certificate);
  asked.json = true;
  const auto done = enroll(asked);
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(nlohmann::json::parse(done.out).at("subject"), "CN=feeder,O=TAK");
}

TEST_F(TakCommands, ServerThatNothingVouchesForIsSentNothing) {
  const auto identity = authority_.server();
  const EnrolmentServer server(authority_, identity, Answers::kJson);
  auto asked = arguments(server);
  asked.ca_file.clear();
  const auto done = enroll(asked);
  EXPECT_EQ(done.code, 1);
  const auto pin = tak::testing::pin_of(identity.certificate);
  EXPECT_THAT(done.err, AllOf(HasSubstr("the authorities of this system"), HasSubstr("Nothing was sent"),
                              HasSubstr("--pin-sha256 " + pin), HasSubstr("--ca-file"), Not(HasSubstr("secret"))));
  EXPECT_TRUE(server.requests().empty());
  EXPECT_FALSE(fs::exists(path("credentials")));
  asked.pin_sha256 = std::string(64, 'a');
  EXPECT_THAT(enroll(asked).err, HasSubstr("not the pinned one"));
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(TakCommands, RefusalsAreSaid) {
  {
    const EnrolmentServer server(authority_, authority_.server(), Answers::kRefuses);
    const auto done = enroll(arguments(server));
    EXPECT_EQ(done.code, 1);
    EXPECT_THAT(done.err, AllOf(HasSubstr("answers 401"), HasSubstr("'feeder'"), Not(HasSubstr("secret"))));
  }
  const EnrolmentServer server(authority_, authority_.server(), Answers::kNoEnrolment);
  EXPECT_THAT(enroll(arguments(server)).err, HasSubstr("no certificate enrolment is offered there"));
  EXPECT_FALSE(fs::exists(path("credentials")));
}

TEST_F(TakCommands, RenewalHappensOnlyWhenItIsDue) {
  const EnrolmentServer server(authority_, authority_.server(), Answers::kJson);
  auto asked = arguments(server);
  asked.renew_before = "7d";
  EXPECT_EQ(enroll(asked).code, 0);  // there is none yet
  const auto first = credentials()->certificate_pem;
  const auto so_far = server.requests().size();
  top_.write("credentials/username", "feeder");
  const auto early = enroll(asked);
  EXPECT_EQ(early.code, 0);
  EXPECT_THAT(early.out, HasSubstr("not due"));
  EXPECT_EQ(server.requests().size(), so_far);
  EXPECT_EQ(credentials()->certificate_pem, first);
  asked.renew_before = "60d";
  EXPECT_EQ(enroll(asked).code, 0);
  EXPECT_NE(credentials()->certificate_pem, first);
  EXPECT_EQ(credentials()->username, "feeder") << "what else is in the folder stays";
}

TEST_F(TakCommands, WrongUsageIsTwo) {
  const EnrolmentServer server(authority_, authority_.server(), Answers::kJson);
  auto asked = arguments(server);
  asked.username.clear();
  EXPECT_EQ(enroll(asked).code, 2);
  asked = arguments(server);
  asked.password_file.clear();
  EXPECT_EQ(enroll(asked).code, 2);
  asked = arguments(server);
  asked.url = "http://127.0.0.1";
  EXPECT_EQ(enroll(asked).code, 2);
  asked = arguments(server);
  asked.renew_before = "soon";
  EXPECT_EQ(enroll(asked).code, 2);
  asked = arguments(server);
  asked.pin_sha256 = "short";
  EXPECT_EQ(enroll(asked).code, 2);
  EXPECT_TRUE(server.requests().empty());
  EXPECT_EQ(run([] { return tak_probe({}); }).code, 2);
}

TEST_F(TakCommands, ImportWritesAFolderAndSaysHowToUseIt) {
  const auto feeder = authority_.client("feeder");
  top_.write(
      "site.zip",
      tak::testing::make_zip(
          {{"certs/a.pref",
            "<preferences><preference name='cot_streams'><entry key='connectString0'>tak.example.org:8089:ssl</entry>"
            "</preference><preference><entry key='certificateLocation'>cert/f.p12</entry><entry "
            "key='clientPassword'>atakatak</entry></preference></preferences>"},
           {"certs/f.p12", make_pkcs12(feeder, {authority_.certificate()}, "atakatak", Pkcs12Cipher::kAes256)}}));
  TakImportArguments asked{path("site.zip"), path("credentials"), false};
  const auto done = run([&] { return tak_import(asked); });
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out, "--tak-sink tls://tak.example.org:8089 --tak-credentials " + path("credentials") + "\n");
  EXPECT_EQ(credentials()->endpoint, "tls://tak.example.org:8089");
  EXPECT_EQ(credentials()->certificate_subject, "CN=feeder");
  asked.json = true;
  EXPECT_EQ(nlohmann::json::parse(run([&] { return tak_import(asked); }).out).at("endpoint"),
            "tls://tak.example.org:8089");
  asked.file = path("ca.crt");
  const auto refused = run([&] { return tak_import(asked); });
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("no zip file"));
}

TEST_F(TakCommands, ProbeByTheEndpointOfTheCredentials) {
  const TestTlsServer server({.identity = authority_.server()}, [](const TestPeer& peer) {
    const auto ping = peer.read();
    peer.write(ping);
    (void)peer.read();
  });
  TakProbeArguments asked;
  asked.credentials = path("credentials");
  fs::create_directory(path("credentials"));
  top_.write("credentials/ca.crt", authority_.certificate());
  top_.write("credentials/endpoint", "127.0.0.1:" + std::to_string(server.port()));
  const auto done = run([&] { return tak_probe(asked); });
  EXPECT_EQ(done.code, 0) << done.out;
  EXPECT_THAT(done.out, AllOf(HasSubstr("ok      ping"), HasSubstr("A feeder would work")));
  asked.json = true;
  const auto json = nlohmann::json::parse(run([&] { return tak_probe(asked); }).out);
  EXPECT_EQ(json.at("ping"), "echo");
  EXPECT_EQ(json.at("would_deliver"), true);
  EXPECT_EQ(json.at("tls_version"), "TLS 1.3");
  asked.expected_name = "other";
  const auto refused = nlohmann::json::parse(run([&] { return tak_probe(asked); }).out);
  EXPECT_EQ(refused.at("would_deliver"), false);
  EXPECT_EQ(refused.at("steps").back().at("state"), "failed");
}

}  // namespace
}  // namespace detection::app
