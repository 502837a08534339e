// What somebody on the network tries: forged tokens, missing rights, texts that want to be code, requests that want to
// hold the service up. Everything against the real binary.

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <set>
#include <thread>

#include "integration/support/forge.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::int64_t now_s() {
  return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

json claims() {
  return {{"iss", "detection-api"},
          {"sub", "mallory"},
          {"scope", "detections:read admin"},
          {"iat", now_s()},
          {"exp", now_s() + 600}};
}

/// A service with the HMAC key file and one key of each kind in the key directory.
class Attack : public ::testing::Test {
 protected:
  Attack() : ec(KeyKind::kEc), other_ec(KeyKind::kEc), rsa(KeyKind::kRsa), ed(KeyKind::kEd25519) {
    std::filesystem::create_directory(keys());
    write_file(keys() / "ec-1.pem", ec.private_pem());
    write_file(keys() / "rsa-1.pem", rsa.public_pem());
    write_file(keys() / "ed-1.pem", ed.private_pem());
    service.start();
  }
  [[nodiscard]] std::filesystem::path keys() const { return dir.path() / "keys"; }

  [[nodiscard]] int status_with(const std::string& token) const {
    HttpClient client(service.api_port(), token);
    const auto answer = client.get("/api/v1/detections?limit=1");
    if (answer && answer->status == 401) {
      EXPECT_NE(answer->header("www-authenticate").find("Bearer"), std::string_view::npos);
      EXPECT_EQ(json::parse(answer->body).at("code"), "unauthorized");
      EXPECT_TRUE(token.size() < 20 || answer->body.find(token) == std::string::npos) << "the token is in the answer";
    }
    return answer ? answer->status : 0;
  }

  TempDir dir;
  SigningKey ec, other_ec, rsa, ed;
  Service service{{binary(), {}, {"--jwt-key-dir", keys().string()}}};
};

TEST_F(Attack, GoodTokensOfEveryKindAreTaken) {
  const auto body = claims().dump();
  EXPECT_EQ(status_with(service.all_scopes_token()), 200);
  EXPECT_EQ(status_with(hmac_token(R"({"alg":"HS256"})", body, kServiceKey)), 200);
  EXPECT_EQ(status_with(signed_token(R"({"alg":"ES256","kid":"ec-1","typ":"JWT"})", body, ec)), 200);
  EXPECT_EQ(status_with(signed_token(R"({"alg":"RS256","kid":"rsa-1"})", body, rsa)), 200);
  EXPECT_EQ(status_with(signed_token(R"({"alg":"EdDSA","kid":"ed-1"})", body, ed)), 200);
}

TEST_F(Attack, HostileTokensAreRefused) {
  const auto good = claims();
  const auto body = good.dump();
  const auto changed = [&](const json& patch) {
    auto body_of = good;
    body_of.merge_patch(patch);
    return body_of.dump();
  };
  const auto hs = [&](const std::string& header, const std::string& text) {
    return hmac_token(header, text, kServiceKey);
  };
  const std::string hs256 = R"({"alg":"HS256"})";
  const auto valid = hs(hs256, body);
  auto jwk_header = json{{"alg", "ES256"}, {"kid", "ec-1"}, {"jwk", {{"kty", "EC"}, {"crv", "P-256"}}}}.dump();
  const struct {
    const char* what;
    std::string token;
  } cases[] = {
      {"alg none", unsigned_token(R"({"alg":"none"})", body) + "."},
      {"alg NONE in other letters", unsigned_token(R"({"alg":"nOnE"})", body) + "."},
      {"alg none with a signature", hs(R"({"alg":"none"})", body)},
      {"no alg", hs(R"({"typ":"JWT"})", body)},
      {"HS512 by the HS256 key", hmac_token(R"({"alg":"HS512"})", body, kServiceKey, true)},
      {"confusion: HS256 by the RSA public key",
       hmac_token(R"({"alg":"HS256","kid":"rsa-1"})", body, rsa.public_pem())},
      {"confusion: HS256 by the EC public key", hmac_token(R"({"alg":"HS256","kid":"ec-1"})", body, ec.public_pem())},
      {"confusion: HS256 by the RSA key, no kid", hmac_token(hs256, body, rsa.public_pem())},
      {"swapped kid: EC signature, RSA's kid", signed_token(R"({"alg":"ES256","kid":"rsa-1"})", body, ec)},
      {"swapped kid: RS256 signature, EC's kid", signed_token(R"({"alg":"RS256","kid":"ec-1"})", body, rsa)},
      {"swapped kid: Ed25519 signature, EC's kid", signed_token(R"({"alg":"EdDSA","kid":"ec-1"})", body, ed)},
      {"another EC key under our kid", signed_token(R"({"alg":"ES256","kid":"ec-1"})", body, other_ec)},
      {"unknown kid", signed_token(R"({"alg":"ES256","kid":"nobody"})", body, ec)},
      {"path in kid", hmac_token(R"({"alg":"HS256","kid":"../../../../dev/null"})", body, "")},
      {"path of the key file in kid", hs(R"({"alg":"HS256","kid":"/proc/self/environ"})", body)},
      {"SQL in kid", hs(R"({"alg":"HS256","kid":"x' UNION SELECT 'a"})", body)},
      {"NUL in kid", hs("{\"alg\":\"HS256\",\"kid\":\"ec-1\\u0000\"}", body)},
      {"embedded jwk", signed_token(jwk_header, body, other_ec)},
      {"jku", signed_token(R"({"alg":"ES256","kid":"ec-1","jku":"http://127.0.0.1:1/keys"})", body, other_ec)},
      {"x5u", signed_token(R"({"alg":"ES256","kid":"ec-1","x5u":"http://127.0.0.1:1/c"})", body, other_ec)},
      {"crit", hs(R"({"alg":"HS256","crit":["exp"]})", body)},
      {"crit b64", hs(R"({"alg":"HS256","crit":["b64"],"b64":false})", body)},
      {"expired", hs(hs256, changed({{"exp", now_s() - 61}}))},
      {"expired long ago", hs(hs256, changed({{"exp", 1}}))},
      {"negative exp", hs(hs256, changed({{"exp", -1}}))},
      {"future nbf", hs(hs256, changed({{"nbf", now_s() + 120}}))},
      {"future iat", hs(hs256, changed({{"iat", now_s() + 120}}))},
      {"wrong iss", hs(hs256, changed({{"iss", "evil"}}))},
      {"iss as a list", hs(hs256, changed({{"iss", json::array({"detection-api"})}}))},
      {"wrong aud", hs(hs256, changed({{"aud", "another-service"}}))},
      {"wrong aud in a list", hs(hs256, changed({{"aud", json::array({"a", "b"})}}))},
      {"aud as a number", hs(hs256, changed({{"aud", 1}}))},
      {"string exp", hs(hs256, changed({{"exp", std::to_string(now_s() + 600)}}))},
      {"no exp", hs(hs256, changed({{"exp", nullptr}}))},
      {"exp beyond all time", hs(hs256, R"({"sub":"a","exp":1e400})")},
      {"exp true", hs(hs256, changed({{"exp", true}}))},
      {"no subject", hs(hs256, changed({{"sub", nullptr}}))},
      {"subject as an object", hs(hs256, changed({{"sub", json::object()}}))},
      {"huge token", hs(hs256, changed({{"padding", std::string(9'000, 'x')}}))},
      {"duplicate claims", hs(hs256, R"({"sub":"a","exp":9999999999,"exp":1,"scope":"admin"})")},
      {"duplicate scope", hs(hs256, R"({"sub":"a","exp":9999999999,"scope":"x","scope":"admin"})")},
      {"duplicate alg", hs(R"({"alg":"none","alg":"HS256"})", body)},
      {"deep nesting", hs(hs256, R"({"sub":"a","exp":9999999999,"x":)" + std::string(3'000, '[') + "1" +
                                     std::string(3'000, ']') + "}")},
      {"claims are an array", hs(hs256, "[]")},
      {"bad UTF-8 in the subject", hs(hs256, "{\"sub\":\"\xff\xfe\",\"exp\":9999999999}")},
      {"tampered claims",
       valid.substr(0, valid.find('.')) + "." + base64url(changed({{"sub", "root"}})) + valid.substr(valid.rfind('.'))},
      {"tampered signature", valid.substr(0, valid.size() - 10) + "AAAAAAAAAA"},
      {"cut signature", valid.substr(0, valid.size() - 8)},
      {"no signature", valid.substr(0, valid.rfind('.') + 1)},
      {"padding", valid + "="},
      {"a fourth part", valid + ".x"},
      {"an all-zero ES256 signature",
       unsigned_token(R"({"alg":"ES256","kid":"ec-1"})", body) + "." + base64url(std::string(64, '\0'))},
      {"JWE shaped", valid + "." + "a.b"},
      {"only dots", ".."},
      {"an API key that is none", "dsk_0123456789abcdef_" + std::string(43, 'A')},
      {"an API key of no length", "dsk__"},
      {"an API key and SQL", "dsk_' OR 1=1 --_x"},
  };
  ASSERT_EQ(status_with(valid), 200);
  for (const auto& c : cases) EXPECT_EQ(status_with(c.token), 401) << c.what;
  EXPECT_EQ(status_with(valid), 200) << "the attack harmed a good token";
}

TEST_F(Attack, RevokedTokensStayRevoked) {
  auto body = claims();
  body["jti"] = "attack-jti-1";
  const auto token = hmac_token(R"({"alg":"HS256"})", body.dump(), kServiceKey);
  ASSERT_EQ(status_with(token), 200);
  auto admin = service.client();
  const auto revoked = admin.post("/api/v1/auth/revoke", R"({"jti":"attack-jti-1"})");
  ASSERT_TRUE(revoked);
  EXPECT_EQ(revoked->status, 200) << revoked->body;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status_with(token), 401) << "replayed";
  service.kill();
  service.start();
  EXPECT_EQ(status_with(token), 401) << "replayed after a restart";
}

/// Method, path and scope of every operation of the service's own document.
struct Operation {
  std::string method, path, scope;
};

std::vector<Operation> operations(const Service& service) {
  HttpClient client(service.api_port());
  const auto answer = client.get("/openapi.json");
  std::vector<Operation> all;
  if (!answer || answer->status != 200) return all;
  const auto document = json::parse(answer->body);
  for (const auto& [path, item] : document.at("paths").items())
    for (const auto& [method, operation] : item.items()) {
      if (!operation.is_object() || !operation.contains("responses")) continue;
      std::string scope;
      if (operation.contains("security"))
        for (const auto& choice : operation.at("security"))
          for (const auto& [scheme, scopes] : choice.items())
            if (!scopes.empty()) scope = scopes[0].get<std::string>();
      std::string upper, real = path;
      for (const char c : method) upper.push_back(static_cast<char>(std::toupper(c)));
      for (auto at = real.find('{'); at != std::string::npos; at = real.find('{'))
        real.replace(at, real.find('}') + 1 - at, "00000000-0000-4000-8000-000000000000");
      all.push_back({upper, real, scope});
    }
  return all;
}

TEST_F(Attack, EveryRouteNeedsItsScope) {
  const std::vector<std::string> scopes{"detections:read", "detections:write", "detections:verify", "audit:read",
                                        "admin"};
  std::size_t guarded = 0;
  for (const auto& [method, path, scope] : operations(service)) {
    if (scope.empty() || method == "HEAD") continue;
    ++guarded;
    const std::string body = method == "GET" || method == "DELETE" ? "" : "{}";
    HttpClient nobody(service.api_port());
    const auto without = nobody.request(method, path, body);
    ASSERT_TRUE(without) << method << " " << path;
    EXPECT_EQ(without->status, 401) << method << " " << path;
    HttpClient wrong(service.api_port(), "not.a.token");
    const auto with_wrong = wrong.request(method, path, body);
    EXPECT_TRUE(with_wrong && with_wrong->status == 401) << method << " " << path;
    std::string others;
    for (const auto& one : scopes)
      if (one != scope) others += (others.empty() ? "" : " ") + one;
    HttpClient lesser(service.api_port(), service.token(others));
    const auto insufficient = lesser.request(method, path, body);
    ASSERT_TRUE(insufficient) << method << " " << path;
    EXPECT_EQ(insufficient->status, 403) << method << " " << path << " " << insufficient->body;
    EXPECT_NE(insufficient->body.find(scope), std::string::npos) << "the missing scope is not named";
  }
  EXPECT_GE(guarded, 15U);
}

TEST_F(Attack, InjectedTextsComeBackAsData) {
  auto client = service.client();
  auto red = json::parse(detection_json(1));
  red["ai_confidence"] = 0.1;  // RED, so that it is held for a person
  const auto posted = client.post("/api/v1/detections", red.dump());
  ASSERT_TRUE(posted && posted->status == 201) << (posted ? posted->body : "");
  const auto id = json::parse(posted->body).at("detection_id").get<std::string>();
  const std::vector<std::string> texts{
      "'; DROP TABLE detection; --",
      "\" OR \"\"=\"",
      "<script>alert(1)</script>",
      "<!ENTITY x SYSTEM \"file:///etc/passwd\">&x;",
      "]]><event uid='evil'/>",
      "${jndi:ldap://127.0.0.1/a}",
      "%s%s%n%n",
      "{{7*7}}",
      "../../../../etc/passwd",
      "a\r\nX-Injected: yes\r\n\r\n",
      "{\"level\":\"error\",\"event\":\"forged\"}",
      "\\u0000\\x00\\",
      "\xF0\x9F\x92\xA5 \xE2\x80\xAE txt.exe",
      "$(touch /tmp/owned) `id` | id",
  };
  bool release = true;
  for (const auto& text : texts) {
    // Texts that may hold anything: they come back as they were sent.
    const auto decided = client.request("PUT", "/api/v1/detections/" + id + "/verify",
                                        json{{"verified", release}, {"notes", text}}.dump());
    ASSERT_TRUE(decided) << text;
    EXPECT_EQ(decided->status, 200) << text << decided->body;
    release = !release;
    EXPECT_TRUE(decided->header("x-injected").empty());
    const auto read = client.get("/api/v1/detections/" + id);
    ASSERT_TRUE(read && read->status == 200);
    EXPECT_EQ(json::parse(read->body).at("verification").at("notes"), text);
    const auto timeline = client.get("/api/v1/detections/" + id + "/audit");
    ASSERT_TRUE(timeline && timeline->status == 200);
    EXPECT_NE(timeline->body.find(json(text).dump()), std::string::npos) << text;
    const bool printable = text.find('\r') == std::string::npos && text.find('\xF0') == std::string::npos;
    const auto named =
        client.post("/api/v1/api-keys", json{{"name", text}, {"scopes", json::array({"detections:read"})}}.dump());
    ASSERT_TRUE(named) << text;
    if (named->status == 201) {
      EXPECT_EQ(json::parse(named->body).at("name"), text);
    } else {
      EXPECT_EQ(named->status, 422) << named->body;
      EXPECT_FALSE(printable) << text;
    }
    // Names of things have an alphabet: refused with the field's name, and never in the store.
    for (const auto* field : {"object_class", "source", "camera_id", "track_id", "detection_id", "timestamp"}) {
      auto bad = json::parse(detection_json(2));
      bad[field] = text;
      const auto refused = client.post("/api/v1/detections", bad.dump());
      ASSERT_TRUE(refused) << text;
      EXPECT_EQ(refused->status, 422) << field << " " << text;
      EXPECT_NE(refused->body.find(field), std::string::npos);
      EXPECT_TRUE(refused->header("x-injected").empty());
    }
    // And in the query, the path and the headers.
    std::string encoded;
    for (const char c : text) {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
      encoded += hex;
    }
    for (const auto& target :
         {"/api/v1/detections?class=" + encoded, "/api/v1/audit?actor=" + encoded, "/api/v1/audit?cursor=" + encoded,
          "/api/v1/detections?cursor=" + encoded, "/api/v1/api-keys/" + encoded, "/problems/" + encoded,
          "/api/v1/detections/" + encoded}) {
      const auto answer = client.get(target);
      ASSERT_TRUE(answer) << target;
      EXPECT_LT(answer->status, 500) << target << answer->body;
      EXPECT_TRUE(answer->header("x-injected").empty());
    }
  }
  const auto list = client.get("/api/v1/detections?limit=10");
  ASSERT_TRUE(list && list->status == 200);
  EXPECT_EQ(json::parse(list->body).at("items").size(), 1U);
  ASSERT_TRUE(service.terminate());
  std::istringstream lines(service.log());
  for (std::string line; std::getline(lines, line);) {
    const auto object = json::parse(line, nullptr, false);
    ASSERT_TRUE(object.is_object()) << line;
    EXPECT_NE(object.value("event", ""), "forged");
  }
  EXPECT_EQ(run({binary().string(), "audit", "verify", "--data-dir", service.data_dir().string()}).exit.code, 0);
}

TEST_F(Attack, HugeBodiesAreRefusedUnread) {
  const auto before = resident_bytes(service.child().pid());
  for (const auto* target :
       {"/api/v1/detections", "/api/v1/detections/batch", "/api/v1/api-keys", "/api/v1/auth/token"}) {
    HttpClient client(service.api_port(), {}, seconds(20));
    ASSERT_TRUE(client.send_raw(std::string("POST ") + target + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " +
                                service.all_scopes_token() +
                                "\r\nContent-Type: application/json\r\nContent-Length: 67108864\r\n\r\n"));
    const std::string piece(1 << 20, '[');
    for (int i = 0; i < 64; ++i)
      if (!client.send_raw(piece)) break;  // it may hang up
    const auto answer = client.receive();
    if (answer) {
      EXPECT_EQ(answer->status, 413) << target << answer->body;
    }
    // The same without a stated length.
    HttpClient chunked(service.api_port(), {}, seconds(20));
    ASSERT_TRUE(chunked.send_raw(std::string("POST ") + target + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " +
                                 service.all_scopes_token() +
                                 "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 64; ++i)
      if (!chunked.send_raw("100000\r\n" + piece + "\r\n")) break;
    const auto second = chunked.receive();
    if (second) {
      EXPECT_EQ(second->status, 413) << target << second->body;
    }
  }
  EXPECT_LT(resident_bytes(service.child().pid()), before + (100U << 20));
  EXPECT_EQ(service.ready_status(), 200);
}

TEST_F(Attack, ThousandsOfIdleConnectionsAreBounded) {
  const auto count = env_number("DETECTION_IDLE_CONNECTIONS", 5'000);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < count + 200) GTEST_SKIP() << "RLIMIT_NOFILE is " << limit.rlim_cur << ": too few files";
  service.kill();
  service.start();  // with the raised limit
  const auto before = resident_bytes(service.child().pid());
  std::vector<std::unique_ptr<HttpClient>> idle;
  for (std::uint64_t i = 0; i < count; ++i) {
    idle.push_back(std::make_unique<HttpClient>(service.api_port(), std::string{}, seconds(2)));
    // Half of them send a beginning.
    (void)idle.back()->send_raw(i % 2 == 0 ? "GET /api/v1/detections HTTP/1.1\r\nHost: a\r\nX-" : "");
  }
  const auto grown = resident_bytes(service.child().pid()) - before;
  std::printf("%zu idle connections: %.1f MiB more\n", idle.size(), static_cast<double>(grown) / (1 << 20));
  EXPECT_LT(grown, 128U << 20);
  const auto most = service.metric("http_connections");
  ASSERT_TRUE(most);
  EXPECT_LE(*most, 4096);
  // The metrics port is always there; the API port takes whoever comes when the idle ones are gone.
  idle.clear();
  EXPECT_TRUE(wait_until(seconds(20), [&] { return service.ready_status() == 200; }));
  auto client = service.client();
  const auto answer = client.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 201);
}

TEST_F(Attack, SlowSendersAreCutAndHoldNobodyUp) {
  std::vector<std::unique_ptr<HttpClient>> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(std::make_unique<HttpClient>(service.api_port(), std::string{}, seconds(30)));
    ASSERT_TRUE(slow.back()->send_raw("POST /api/v1/detections HTTP/1.1\r\nHost: a\r\n"));
  }
  const auto begin = std::chrono::steady_clock::now();
  std::jthread dripping([&](const std::stop_token& stop) {
    for (int round = 0; round < 60 && !stop.stop_requested(); ++round) {
      for (auto& one : slow) (void)one->send_raw("X-a: b\r\n");
      sleep_ms(500);
    }
  });
  auto client = service.client();
  std::size_t good = 0;
  bool all_gone = false;
  while (std::chrono::steady_clock::now() - begin < seconds(25)) {
    const auto answer = client.post("/api/v1/detections", detection_json(good + 1));
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->status, 201);
    ++good;
    if (const auto open = service.metric("http_connections"); open && *open < 50) {
      all_gone = true;
      break;
    }
    sleep_ms(50);
  }
  dripping.request_stop();
  EXPECT_TRUE(all_gone) << "slow senders keep their connections";
  EXPECT_GT(good, 50U);
}

}  // namespace
}  // namespace detection::integration
