// Who may do what: every route without, with a wrong and with an insufficient credential; the token endpoint; API keys;
// what failures leave in the audit and the metrics.

#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

using nlohmann::json;

/// A store that remembers the audit entries it was given.
class RecordingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<void> record(const store::AuditEntry& entry) override {
    const std::scoped_lock lock(mutex_);
    entries_.push_back(entry);
    return {};
  }
  [[nodiscard]] std::vector<store::AuditEntry> entries() {
    const std::scoped_lock lock(mutex_);
    return entries_;
  }

 private:
  std::mutex mutex_;
  std::vector<store::AuditEntry> entries_;
};

std::string path_of(const RouteSpec& spec) {
  std::string path(spec.path);
  const auto open = path.find('{');
  if (open == std::string::npos) return path;
  return path.replace(open, path.find('}') - open + 1, path.find("detections") != std::string::npos ? kId : "nobody");
}

/// Every scope but one.
std::string scopes_without(security::Scope missing) {
  std::string scopes;
  for (const auto scope : security::kAllScopes)
    if (scope != missing) scopes.append(scopes.empty() ? "" : " ").append(security::scope_name(scope));
  return scopes;
}

TEST_F(ApiTest, EveryRouteWantsItsScope) {
  std::size_t guarded = 0;
  for (const auto& spec : route_table()) {
    if (!spec.on_api) continue;
    const auto path = path_of(spec);
    for (const auto& method : spec.methods) {
      if (!method) continue;
      const auto name = method_name(method->method);
      SCOPED_TRACE(std::string(name) + " " + path);
      if (!method->scope) {
        EXPECT_NE(ask(name, path, "")->status, 403);
        continue;
      }
      ++guarded;
      const std::string scope(security::scope_name(*method->scope));
      auto answer = *ask(name, path, "");
      expect_problem(answer, 401, "unauthorized");
      EXPECT_EQ(answer.header("WWW-Authenticate"), "Bearer realm=\"detection-api\"");
      for (const auto& wrong :
           {std::string("Authorization: Basic abc\r\n"), std::string("Authorization: Bearer\r\n"),
            std::string("Authorization: Bearer x.y.z\r\n"), std::string("X-API-Key: x.y.z\r\n"),
            std::string("X-API-Key: dsk_unknown_planted\r\n"), "X-API-Key: " + token("admin") + "\r\n",
            std::string("Authorization: Bearer dsk_unknown_planted\r\n"),
            "Authorization: Bearer " + token(scope) + "x\r\n"}) {
        answer = *ask(name, path, wrong);
        expect_problem(answer, 401, "unauthorized");
        EXPECT_NE(answer.header("WWW-Authenticate").find("error=\"invalid_token\""), std::string::npos) << wrong;
        EXPECT_EQ(answer.body.find("planted"), std::string::npos) << answer.body;
      }
      answer = *ask(name, path, bearer(scope) + "X-API-Key: dsk_a_b\r\n");
      expect_problem(answer, 400, "malformed_request");
      answer = *ask(name, path, bearer(scopes_without(*method->scope)));
      expect_problem(answer, 403, "insufficient_scope");
      EXPECT_NE(answer.header("WWW-Authenticate").find("scope=\"" + scope + "\""), std::string::npos);
      const auto problem = json::parse(answer.body);
      EXPECT_EQ(problem["scope"], scope);
      EXPECT_NE(problem["detail"].get<std::string>().find(scope), std::string::npos);
      if (spec.path == "/api/v1/events") continue;
      const auto allowed = ask(name, path, bearer(scope));
      ASSERT_TRUE(allowed);
      EXPECT_NE(allowed->status, 401) << allowed->body;
      EXPECT_NE(allowed->status, 403) << allowed->body;
    }
  }
  EXPECT_GE(guarded, 17U);
}

TEST_F(ApiTest, FailuresAreAuditedOncePerAddressAndWithoutTheCredential) {
  RecordingStore* recorder = nullptr;
  wrap_ = [&](std::unique_ptr<store::Store> inner) {
    auto made = std::make_unique<RecordingStore>(std::move(inner));
    recorder = made.get();
    return made;
  };
  options_.trusted_proxies = {*parse_address_block("127.0.0.0/8")};
  reopen();
  const std::string planted = "planted-secret-4711";
  for (int i = 0; i < 20; ++i) {
    (void)ask("GET", "/api/v1/detections", "");
    (void)ask("GET", "/api/v1/detections", "Authorization: Bearer " + planted + "\r\n");
    (void)ask("GET", "/api/v1/detections", "X-API-Key: dsk_" + planted + "\r\n");
    (void)ask("GET", "/api/v1/detections", bearer("admin"));
    (void)ask("POST", "/api/v1/auth/token", "Content-Type: application/x-www-form-urlencoded\r\n",
              "grant_type=client_credentials&client_id=a&client_secret=" + planted);
  }
  (void)ask("GET", "/api/v1/detections", "X-Forwarded-For: 2001:db8::7\r\nAuthorization: Bearer x\r\n");
  const auto exposed = metrics();
  service_->stop(std::chrono::milliseconds(2'000));
  std::uint64_t failures = 0;
  std::size_t records = 0;
  std::set<std::string> actors;
  for (const auto& entry : recorder->entries()) {
    if (entry.type != "auth_failure") continue;
    ++records;
    actors.insert(entry.actor);
    EXPECT_EQ(entry.severity, "WARNING");
    EXPECT_EQ(entry.detail_json.find(planted), std::string::npos);
    const auto detail = json::parse(entry.detail_json);
    EXPECT_EQ(detail["address"], entry.actor);
    failures += detail["failures"].get<std::uint64_t>();
  }
  EXPECT_EQ(actors, (std::set<std::string>{"127.0.0.1", "2001:db8::/64"}));
  EXPECT_EQ(failures, 20U * 5 + 1);
  EXPECT_LE(records, 3U) << "the first of each address, and what came after";
  for (const auto* line :
       {"auth_attempts_total{result=\"missing\"} 20", "auth_attempts_total{result=\"invalid\"} 41",
        "auth_attempts_total{result=\"insufficient_scope\"} 20", "auth_attempts_total{result=\"invalid_client\"} 20"})
    EXPECT_NE(exposed.find(line), std::string::npos) << line;
  EXPECT_EQ(exposed.find(planted), std::string::npos);
}

class ApiKeyTest : public ApiTest {
 protected:
  static constexpr std::string_view kPath = "/api/v1/api-keys";
  TestAnswer create(const json& body) { return as("admin", "POST", kPath, body.dump()); }
  json created(const json& body) {
    const auto answer = create(body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  TestAnswer grant(const std::string& form, std::string_view headers = {}) {
    return *ask("POST", "/api/v1/auth/token",
                "Content-Type: application/x-www-form-urlencoded\r\n" + std::string(headers), form);
  }
};

TEST_F(ApiKeyTest, LifeOfAKey) {
  const auto answer = create({{"name", "feeder"}, {"scopes", {"detections:read"}}});
  ASSERT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.header("Cache-Control"), "no-store");
  const auto made = json::parse(answer.body);
  const auto id = made["id"].get<std::string>();
  const auto secret = made["key"].get<std::string>();
  EXPECT_EQ(answer.header("Location"), "/api/v1/api-keys/" + id);
  EXPECT_TRUE(secret.starts_with("dsk_" + id + "_")) << secret;
  EXPECT_EQ(made["name"], "feeder");
  EXPECT_EQ(made["scopes"], json({"detections:read"}));
  EXPECT_EQ(made["created_by"], "tester");
  EXPECT_TRUE(made["expires"].is_null());

  for (const auto& line : {"X-API-Key: " + secret + "\r\n", "Authorization: Bearer " + secret + "\r\n"}) {
    EXPECT_EQ(ask("GET", "/api/v1/detections", line)->status, 200);
    expect_problem(*ask("GET", "/api/v1/audit", line), 403, "insufficient_scope");
  }
  const auto list = as("admin", "GET", kPath);
  ASSERT_EQ(list.status, 200);
  EXPECT_EQ(json::parse(list.body)["items"].size(), 1U);
  const auto one = as("admin", "GET", answer.header("Location"));
  EXPECT_EQ(json::parse(one.body)["id"], id);
  for (const auto& text : {list.body, one.body}) {
    EXPECT_EQ(text.find(secret), std::string::npos);
    EXPECT_EQ(text.find("\"key\""), std::string::npos);
  }

  const auto rotated = as("admin", "POST", answer.header("Location") + "/rotate");
  ASSERT_EQ(rotated.status, 200) << rotated.body;
  EXPECT_EQ(rotated.header("Cache-Control"), "no-store");
  const auto second = json::parse(rotated.body);
  EXPECT_EQ(second["id"], id);
  EXPECT_NE(second["key"], secret);
  EXPECT_TRUE(second["previous_until"].is_string());
  for (const auto& key : {secret, second["key"].get<std::string>()})
    EXPECT_EQ(ask("GET", "/api/v1/detections", "X-API-Key: " + key + "\r\n")->status, 200);

  const auto revoked = as("admin", "DELETE", answer.header("Location"));
  EXPECT_EQ(revoked.status, 204);
  EXPECT_EQ(revoked.body, "");
  EXPECT_EQ(revoked.header("Content-Length"), "");
  for (const auto& key : {secret, second["key"].get<std::string>()})
    expect_problem(*ask("GET", "/api/v1/detections", "X-API-Key: " + key + "\r\n"), 401, "unauthorized");
  EXPECT_EQ(as("admin", "DELETE", answer.header("Location")).status, 204);
  expect_problem(as("admin", "GET", answer.header("Location")), 404, "not_found");
  EXPECT_TRUE(json::parse(as("admin", "GET", "/api/v1/api-keys").body)["items"][0]["revoked"].is_string());
  expect_problem(as("admin", "POST", answer.header("Location") + "/rotate"), 409, "conflict");
}

TEST_F(ApiKeyTest, RulesOfTheBody) {
  const json good = {{"name", "a"}, {"scopes", {"admin"}}};
  for (const auto& [key, value] : {std::pair<std::string, json>{"name", ""},
                                   {"name", 5},
                                   {"scopes", json::array()},
                                   {"scopes", {"root"}},
                                   {"scopes", "admin"},
                                   {"expires", "2020-01-01T00:00:00Z"},
                                   {"expires", "soon"},
                                   {"colour", 1}}) {
    auto body = good;
    body[key] = value;
    expect_problem(create(body), 422, "validation_failed");
  }
  expect_problem(create({{"name", "a"}}), 422, "validation_failed");
  expect_problem(as("admin", "POST", kPath, "{"), 400, "malformed_json");
  expect_problem(*ask("POST", kPath, bearer("admin"), good.dump()), 415, "unsupported_media_type");
  expect_problem(create({{"name", std::string(70'000, 'n')}}), 413, "payload_too_large");
  for (const auto* id : {"nobody", "a%20b", "..", "%00"}) {
    const auto path = std::string(kPath) + "/" + id;
    expect_problem(as("admin", "GET", path), 404, "not_found");
    expect_problem(as("admin", "DELETE", path), 404, "not_found");
    expect_problem(as("admin", "POST", path + "/rotate"), 404, "not_found");
  }
}

TEST_F(ApiKeyTest, TokenEndpoint) {
  const auto key = created({{"name", "feeder"}, {"scopes", {"detections:read", "detections:write"}}});
  const auto id = key["id"].get<std::string>(), secret = key["key"].get<std::string>();
  const auto form = "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret;
  auto answer = grant(form);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.header("Cache-Control"), "no-store");
  EXPECT_EQ(answer.header("Pragma"), "no-cache");
  const auto issued = json::parse(answer.body);
  EXPECT_EQ(issued["token_type"], "Bearer");
  EXPECT_EQ(issued["expires_in"], 3600);
  EXPECT_EQ(issued["scope"], "detections:read detections:write");
  const auto line = "Authorization: Bearer " + issued["access_token"].get<std::string>() + "\r\n";
  EXPECT_EQ(ask("GET", "/api/v1/detections", line)->status, 200);

  answer = grant(form + "&scope=detections:read");
  const auto narrow = "Authorization: Bearer " + json::parse(answer.body)["access_token"].get<std::string>() + "\r\n";
  EXPECT_EQ(ask("GET", "/api/v1/detections", narrow)->status, 200);
  expect_problem(*ask("POST", "/api/v1/detections", narrow + "Content-Type: application/json\r\n", "{}"), 403,
                 "insufficient_scope");
  const json body = {{"grant_type", "client_credentials"}, {"client_id", id}, {"client_secret", secret}};
  EXPECT_EQ(ask("POST", "/api/v1/auth/token", "Content-Type: application/json\r\n", body.dump())->status, 200);

  const auto expect_error = [](const TestAnswer& refused, int status, std::string_view error) {
    expect_problem(refused, status, status == 401 ? "unauthorized" : "malformed_request");
    const auto problem = json::parse(refused.body);
    EXPECT_EQ(problem["error"], error);
    EXPECT_EQ(problem["error_description"], problem["detail"]);
    EXPECT_EQ(refused.header("Cache-Control"), "no-store");
    EXPECT_EQ(refused.header("WWW-Authenticate").starts_with("Basic "), status == 401);
  };
  expect_error(grant("grant_type=client_credentials&client_id=" + id + "&client_secret=wrong"), 401, "invalid_client");
  expect_error(grant("grant_type=client_credentials"), 401, "invalid_client");
  expect_error(grant(form, bearer("admin")), 401, "invalid_client");
  expect_error(grant(form + "&scope=admin"), 400, "invalid_scope");
  expect_error(grant(form + "&scope=no:such"), 400, "invalid_scope");
  expect_error(grant("grant_type=password&client_id=a&client_secret=b"), 400, "unsupported_grant_type");
  expect_error(grant("client_id=a"), 400, "invalid_request");
  expect_problem(*ask("POST", "/api/v1/auth/token", "Content-Type: text/plain\r\n", form), 415,
                 "unsupported_media_type");
  (void)as("admin", "DELETE", std::string(kPath) + "/" + id);
  expect_error(grant(form), 401, "invalid_client");
}

TEST_F(ApiKeyTest, RevokedTokenEndsAtOnce) {
  const auto key = created({{"name", "feeder"}, {"scopes", {"detections:read"}}});
  const auto form = "grant_type=client_credentials&client_id=" + key["id"].get<std::string>() +
                    "&client_secret=" + key["key"].get<std::string>();
  const auto access = json::parse(grant(form).body)["access_token"].get<std::string>();
  const auto line = "Authorization: Bearer " + access + "\r\n";
  ASSERT_EQ(ask("GET", "/api/v1/detections", line)->status, 200);
  const auto principal = authority_->authenticate(access, system_now());
  ASSERT_TRUE(principal);
  const auto answer = as("admin", "POST", "/api/v1/auth/revoke", json{{"jti", (*principal)->jti}}.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto said = json::parse(answer.body);
  EXPECT_EQ(said["jti"], (*principal)->jti);
  EXPECT_EQ(said["revoked"], true);
  EXPECT_TRUE(parse_rfc3339(said["until"].get<std::string>()));
  expect_problem(*ask("GET", "/api/v1/detections", line), 401, "unauthorized");
  expect_problem(as("admin", "POST", "/api/v1/auth/revoke", "{}"), 422, "validation_failed");
  expect_problem(as("admin", "POST", "/api/v1/auth/revoke", R"({"jti":""})"), 422, "validation_failed");
}

TEST_F(ApiTest, PublicKeysAreTagged) {
  const auto answer = *ask("GET", "/.well-known/jwks.json", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(json::parse(answer.body)["keys"].is_array());
  EXPECT_EQ(answer.header("Cache-Control"), "public, max-age=300");
  const auto again = *ask("GET", "/.well-known/jwks.json", "If-None-Match: " + answer.header("ETag") + "\r\n");
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.header("ETag"), answer.header("ETag"));
  EXPECT_EQ(again.body, "");
}

}  // namespace
}  // namespace detection::http
