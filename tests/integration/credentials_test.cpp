// API keys and tokens through the commands and the API together, and that none of their secrets is ever shown again.

#include <gtest/gtest.h>

#include "integration/support/forge.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::seconds;

int status_with(const Service& service, const std::string& credential, std::string_view target = "/api/v1/detections") {
  HttpClient client(service.api_port(), credential);
  const auto answer = client.get(target);
  return answer ? answer->status : 0;
}

json key_command(const Service& service, std::vector<std::string> arguments) {
  std::vector<std::string> argv{binary().string(), "key"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.insert(argv.end(), {"--data-dir", service.data_dir().string(), "--json"});
  const auto done = run(argv);
  EXPECT_EQ(done.exit.code, 0) << done.err;
  return json::parse(done.out, nullptr, false);
}

std::string text_of(const json& object, const char* member) {
  return object.is_object() && object.contains(member) ? object.at(member).get<std::string>() : std::string{};
}

/// Of dsk_<id>_<secret>; the secret may hold a '_' itself.
std::string secret_of(const std::string& key) {
  return key.substr(key.find('_', 4) + 1);
}

TEST(Credentials, TheFirstAdminKeyComesFromTheCommandAndWorksBesideServe) {
  Service service({binary(), {}, {}});
  // Before any serve: the command makes the store.
  const auto first = key_command(service, {"create", "--name", "first admin", "--scope", "admin detections:read"});
  const auto admin = text_of(first, "key");
  ASSERT_TRUE(admin.starts_with("dsk_")) << first;
  service.start();
  EXPECT_EQ(status_with(service, admin), 200);
  EXPECT_EQ(status_with(service, admin, "/api/v1/audit"), 403);
  // Beside a running one: known within seconds.
  const auto second = key_command(service, {"create", "--name", "reader", "--scope", "detections:read"});
  const auto reader = text_of(second, "key");
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, reader) == 200; }));
  // Made by the API, seen by the command.
  HttpClient client(service.api_port(), admin);
  const auto made = client.post("/api/v1/api-keys", R"({"name":"third","scopes":["detections:write"]})");
  ASSERT_TRUE(made);
  ASSERT_EQ(made->status, 201) << made->body;
  const auto third = json::parse(made->body);
  const auto listed = key_command(service, {"list"});
  ASSERT_EQ(listed.at("items").size(), 3U) << listed;
  EXPECT_EQ(listed.dump().find(text_of(third, "key")), std::string::npos);
  // Revoked by the command, refused by the service.
  (void)key_command(service, {"revoke", text_of(second, "id")});
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, reader) == 401; }));
  // Rotated: both are good.
  const auto rotated = client.post("/api/v1/api-keys/" + text_of(first, "id") + "/rotate", "");
  ASSERT_TRUE(rotated);
  ASSERT_EQ(rotated->status, 200) << rotated->body;
  const auto renewed = text_of(json::parse(rotated->body), "key");
  EXPECT_NE(renewed, admin);
  EXPECT_EQ(status_with(service, renewed), 200);
  EXPECT_EQ(status_with(service, admin), 200) << "24 hours of grace";
  EXPECT_EQ(run({binary().string(), "audit", "verify", "--data-dir", service.data_dir().string()}).exit.code, 0);
  // An option takes one value, and leaves what follows it alone.
  EXPECT_EQ(run({binary().string(), "key", "rotate", "--data-dir", service.data_dir().string(), text_of(third, "id"),
                 "--json"})
                .exit.code,
            0);
  // After a restart everything is as it was.
  service.kill();
  service.start();
  EXPECT_EQ(status_with(service, renewed), 200);
  EXPECT_EQ(status_with(service, reader), 401);
}

TEST(Credentials, TheTokenEndpointGivesATokenThatWorks) {
  Service service({binary(), {}, {}});
  const auto made = key_command(service, {"create", "--name", "client", "--scope", "detections:read detections:write"});
  service.start();
  HttpClient client(service.api_port());
  const std::string body = "grant_type=client_credentials&client_id=" + text_of(made, "id") +
                           "&client_secret=" + text_of(made, "key") + "&scope=detections%3Aread";
  const auto answer = client.request("POST", "/api/v1/auth/token", body, "application/x-www-form-urlencoded");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->status, 200) << answer->body;
  const auto token = json::parse(answer->body);
  EXPECT_EQ(token.at("token_type"), "Bearer");
  EXPECT_EQ(token.at("scope"), "detections:read");
  EXPECT_EQ(answer->header("cache-control"), "no-store");
  EXPECT_EQ(status_with(service, token.at("access_token")), 200);
  HttpClient writer(service.api_port(), token.at("access_token"));
  const auto refused = writer.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 403);
  const auto wrong = client.request(
      "POST", "/api/v1/auth/token",
      "grant_type=client_credentials&client_id=" + text_of(made, "id") + "&client_secret=" + std::string(43, 'A'),
      "application/x-www-form-urlencoded");
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->status, 401);
  EXPECT_EQ(json::parse(wrong->body).at("error"), "invalid_client");
  // With its key gone, its tokens are gone.
  (void)key_command(service, {"revoke", text_of(made, "id")});
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, token.at("access_token")) == 401; }));
}

TEST(Credentials, NothingSecretIsShownAnywhere) {
  const TempDir dir;
  const auto keys = dir.path() / "keys";
  std::filesystem::create_directory(keys);
  const SigningKey ec(KeyKind::kEc);
  const std::string planted = "planted-directory-secret-5d81c3a7be29f604";
  write_file(keys / "planted", planted);
  write_file(keys / "ec.pem", ec.private_pem());
  Service service({binary(), {"tcp://127.0.0.1:9"}, {"--jwt-key-dir", keys.string(), "--log-level", "debug"}});
  service.start();
  auto admin = service.client();
  std::vector<std::string> secrets{std::string(kServiceKey), planted, service.all_scopes_token()};
  for (const auto& line : {1, 2}) {  // lines of the private key
    const auto pem = ec.private_pem();
    std::size_t at = 0;
    for (int i = 0; i < line; ++i) at = pem.find('\n', at) + 1;
    secrets.push_back(pem.substr(at, pem.find('\n', at) - at));
  }
  const auto made = admin.post("/api/v1/api-keys", R"({"name":"planted","scopes":["detections:read"]})");
  ASSERT_TRUE(made && made->status == 201);
  const auto key = json::parse(made->body).at("key").get<std::string>();
  const auto id = json::parse(made->body).at("id").get<std::string>();
  secrets.push_back(secret_of(key));
  const auto rotated = admin.post("/api/v1/api-keys/" + id + "/rotate", "");
  ASSERT_TRUE(rotated && rotated->status == 200);
  const auto renewed = json::parse(rotated->body).at("key").get<std::string>();
  secrets.push_back(secret_of(renewed));

  // Use them rightly and wrongly, and keep every answer.
  std::string seen;
  const auto look = [&](const std::optional<Response>& answer) {
    if (!answer) return;
    for (const auto& [name, value] : answer->headers) seen += name + ": " + value + "\n";
    seen += answer->body + "\n";
  };
  HttpClient by_key(service.api_port(), renewed);
  look(by_key.get("/api/v1/detections"));
  look(by_key.get("/api/v1/audit"));
  const auto token = [&] {
    HttpClient nobody(service.api_port());
    const auto answer = nobody.request("POST", "/api/v1/auth/token",
                                       "grant_type=client_credentials&client_id=" + id + "&client_secret=" + renewed,
                                       "application/x-www-form-urlencoded");
    return answer && answer->status == 200 ? json::parse(answer->body).at("access_token").get<std::string>() : "";
  }();
  ASSERT_FALSE(token.empty());
  secrets.push_back(token);
  HttpClient cut(service.api_port(), service.all_scopes_token() + "x");
  look(cut.get("/api/v1/detections"));
  HttpClient wrong(service.api_port(), renewed + "x");
  look(wrong.get("/api/v1/detections"));
  look(admin.request("POST", "/api/v1/auth/token",
                     "grant_type=client_credentials&client_id=" + id + "&client_secret=" + renewed + "x",
                     "application/x-www-form-urlencoded"));
  look(admin.post("/api/v1/auth/token", "{\"client_secret\":\"" + renewed + "\"}"));
  look(admin.post("/api/v1/detections", "{\"token\":\"" + token.substr(0, 4) + "\"}"));
  for (const auto* target : {"/api/v1/api-keys", "/api/v1/audit?limit=1000", "/api/v1/audit/verify", "/openapi.json",
                             "/.well-known/jwks.json", "/health", "/ready", "/docs", "/api/v1/delivery"})
    look(admin.get(target));
  look(admin.get("/api/v1/api-keys/" + id));
  look(HttpClient(service.api_port()).get("/api/v1/detections?key=x"));
  seen += service.metrics();
  for (const auto& command :
       std::vector<std::vector<std::string>>{{"config", "--json"}, {"config"}, {"audit", "export"}, {"key", "list"}}) {
    std::vector<std::string> argv{binary().string()};
    argv.insert(argv.end(), command.begin(), command.end());
    argv.insert(argv.end(), {"--data-dir", service.data_dir().string()});
    if (command.front() == "config")
      argv.insert(argv.end(), {"--jwt-key-file", service.key_file().string(), "--jwt-key-dir", keys.string()});
    const auto done = run(argv);
    EXPECT_EQ(done.exit.code, 0) << command.front() << done.err;
    seen += done.out + done.err;
  }
  ASSERT_TRUE(service.terminate());
  seen += service.log();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(service.data_dir()))
    if (entry.is_regular_file()) seen += read_file(entry.path());
  EXPECT_GT(seen.size(), 10'000U);
  EXPECT_NE(seen.find(id), std::string::npos) << "the test looks at nothing";
  for (const auto& secret : secrets) {
    ASSERT_GE(secret.size(), 30U);
    EXPECT_EQ(seen.find(secret), std::string::npos) << "shown: " << secret.substr(0, 12) << "...";
    // Nor its signature alone.
    if (const auto dot = secret.rfind('.'); dot != std::string::npos) {
      EXPECT_EQ(seen.find(secret.substr(dot + 1)), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace detection::integration
