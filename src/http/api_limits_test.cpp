// Rate limits as callers see them, the client's address behind proxies, and cross-origin requests. The rates are one
// an hour: what a bucket holds at the start is all there is, and no test waits.

#include <gtest/gtest.h>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

using nlohmann::json;

constexpr std::string_view kList = "/api/v1/detections?limit=1";

class LimitsTest : public ApiTest {
 protected:
  void limit(double subject, double address, double token = 3) {
    constexpr double kHour = 1.0 / 3600;
    options_.rate_limits = {
        .enabled = true, .subject = {kHour, subject}, .address = {kHour, address}, .token = {kHour, token}};
    options_.trusted_proxies = {*parse_address_block("127.0.0.0/8")};
    reopen();
  }
  static std::string from(std::string_view address) { return "X-Forwarded-For: " + std::string(address) + "\r\n"; }
  static void expect_limited(const TestAnswer& answer, std::string_view policy) {
    expect_problem(answer, 429, "rate_limited");
    EXPECT_GE(std::atoi(answer.header("Retry-After").c_str()), 3'000) << answer.head;
    EXPECT_TRUE(answer.header("RateLimit").starts_with("\"" + std::string(policy) + "\";r=0;t=")) << answer.head;
  }
  static std::string named(std::string_view subject, const security::HmacKey& key) {
    return "Authorization: Bearer " +
           *security::mint_token(key, {std::string(subject), "detections:read"}, system_now()) + "\r\n";
  }
  static constexpr std::string_view kBad = "Authorization: Bearer x.y.z\r\n";
};

TEST_F(LimitsTest, OfASubject) {
  limit(3, 10);
  const auto line = bearer();
  for (int left = 2; left >= 0; --left) {
    const auto answer = *ask("GET", kList, line);
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.header("RateLimit").starts_with("\"subject\";r=" + std::to_string(left) + ";t=")) << answer.head;
    EXPECT_EQ(answer.header("RateLimit-Policy"), "\"subject\";q=3;w=10800");
  }
  expect_limited(*ask("GET", kList, line), "subject");
  expect_limited(*ask("GET", kList, bearer() + from("192.0.2.1")), "subject");
  EXPECT_EQ(ask("GET", kList, named("another", *key_))->status, 200);
  EXPECT_NE(metrics().find("rate_limit_hits_total{scope=\"subject\"} 2"), std::string::npos);
}

TEST_F(LimitsTest, OfABatchGoIntoDebt) {
  limit(3, 10);
  std::string items = "[5";
  for (int i = 1; i < 401; ++i) items += ",5";
  const auto answer = post(items + "]", {}, "/api/v1/detections/batch");
  EXPECT_EQ(answer.status, 200) << "401 items are five requests; what is missing is owed";
  expect_limited(get(kList), "subject");
}

TEST_F(LimitsTest, OfAnAddressWithoutCredentials) {
  limit(100, 4);
  const auto here = from("192.0.2.1"), there = from("192.0.2.2");
  expect_problem(*ask("GET", kList, here), 401, "unauthorized");
  expect_problem(*ask("GET", kList, here + std::string(kBad)), 401, "unauthorized");
  EXPECT_EQ(ask("GET", "/openapi.json", here)->status, 200);
  const auto last = *ask("GET", "/problems/not_found", here);
  EXPECT_EQ(last.status, 200);
  EXPECT_TRUE(last.header("RateLimit").starts_with("\"address\";r=0;"));
  expect_limited(*ask("GET", kList, here), "address");
  expect_limited(*ask("GET", kList, here + std::string(kBad)), "address");
  expect_limited(*ask("GET", "/.well-known/jwks.json", here), "address");
  for (const auto* path : {"/health", "/ready"}) EXPECT_EQ(ask("GET", path, here)->status, 200);
  expect_problem(*ask("GET", kList, there), 401, "unauthorized");
  // One subscriber of IPv6 has 64 bits.
  for (int i = 0; i < 4; ++i)
    expect_problem(*ask("GET", kList, from("2001:db8::" + std::to_string(i + 1))), 401, "unauthorized");
  expect_limited(*ask("GET", kList, from("2001:db8::99")), "address");
  expect_problem(*ask("GET", kList, from("2001:db8:0:1::1")), 401, "unauthorized");
}

TEST_F(LimitsTest, GoodCredentialIsServedFromASpentAddress) {
  limit(1'000, 2);
  const auto here = from("192.0.2.1");
  const auto known = named("known", *key_) + here;
  EXPECT_EQ(ask("GET", kList, known)->status, 200);
  for (int i = 0; i < 2; ++i) expect_problem(*ask("GET", kList, here + std::string(kBad)), 401, "unauthorized");
  expect_limited(*ask("GET", kList, here + std::string(kBad)), "address");
  EXPECT_EQ(ask("GET", kList, known)->status, 200) << "known";
  EXPECT_EQ(ask("GET", kList, named("stranger", *key_) + here)->status, 200) << "unknown, but the reserve is there";
  // A flood of bad ones uses the reserve up; who is known does not need it.
  auto c = client();
  for (int i = 0; i < 300; ++i)
    EXPECT_EQ(c.ask("GET /api/v1/detections HTTP/1.1\r\nHost: a\r\n" + here + std::string(kBad) + "\r\n")->status, 429);
  EXPECT_EQ(ask("GET", kList, known)->status, 200);
  EXPECT_NE(metrics().find("auth_attempts_total{result=\"rate_limited\"}"), std::string::npos);
}

TEST_F(LimitsTest, OfTheTokenEndpoint) {
  limit(100, 10, 2);
  const auto here = from("192.0.2.1") + "Content-Type: application/x-www-form-urlencoded\r\n";
  const std::string form = "grant_type=client_credentials&client_id=a&client_secret=b";
  for (int i = 0; i < 2; ++i) expect_problem(*ask("POST", "/api/v1/auth/token", here, form), 401, "unauthorized");
  expect_limited(*ask("POST", "/api/v1/auth/token", here, form), "token");
  expect_problem(*ask("GET", kList, here), 401, "unauthorized");
  EXPECT_NE(metrics().find("rate_limit_hits_total{scope=\"token\"} 1"), std::string::npos);
}

TEST_F(LimitsTest, ForwardedForCountsOnlyFromTrustedProxies) {
  limit(100, 1);
  options_.trusted_proxies = {*parse_address_block("10.0.0.0/8")};
  reopen();
  expect_problem(*ask("GET", kList, from("192.0.2.1")), 401, "unauthorized");
  expect_limited(*ask("GET", kList, from("192.0.2.2")), "address");
}

TEST_F(LimitsTest, OffMeansNoLimitAndNoHeader) {
  for (int i = 0; i < 30; ++i) expect_problem(*ask("GET", kList, ""), 401, "unauthorized");
  const auto answer = get(kList);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("RateLimit"), "");
}

class CrossOriginTest : public ApiTest {
 protected:
  static constexpr std::string_view kOrigin = "Origin: https://map.example\r\n";
  static std::string preflight(std::string_view method) {
    return std::string(kOrigin) + "Access-Control-Request-Method: " + std::string(method) +
           "\r\nAccess-Control-Request-Headers: authorization\r\n";
  }
};

TEST_F(CrossOriginTest, OffByDefault) {
  const auto answer = get(kList, kOrigin);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.head.find("Access-Control"), std::string::npos);
  const auto refused = *ask("OPTIONS", "/api/v1/detections", preflight("POST"));
  expect_problem(refused, 405, "method_not_allowed");
  EXPECT_EQ(refused.head.find("Access-Control"), std::string::npos);
}

TEST_F(CrossOriginTest, ConfiguredOriginsOnly) {
  options_.cors_origins = {"https://map.example"};
  reopen();
  for (const auto& answer : {get(kList, kOrigin), *ask("GET", kList, kOrigin), get("/nowhere", kOrigin)}) {
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://map.example") << answer.head;
    EXPECT_NE(answer.head.find("Vary: Origin\r\n"), std::string::npos);
    EXPECT_NE(answer.header("Access-Control-Expose-Headers").find("RateLimit"), std::string::npos);
    EXPECT_EQ(answer.head.find("Allow-Credentials"), std::string::npos);
  }
  const auto other = get(kList, "Origin: https://evil.example\r\n");
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(other.header("Access-Control-Allow-Origin"), "");
  EXPECT_NE(other.head.find("Vary: Origin\r\n"), std::string::npos);

  for (const auto& spec : route_table()) {
    if (!spec.on_api) continue;
    auto path = std::string(spec.path);
    if (const auto open = path.find('{'); open != std::string::npos) path.replace(open, path.find('}') - open + 1, "x");
    const auto asked = *ask("OPTIONS", path, preflight("PUT"));
    EXPECT_EQ(asked.status, 204) << path;
    EXPECT_EQ(asked.header("Access-Control-Allow-Methods"), spec.allow);
    EXPECT_EQ(asked.header("Access-Control-Allow-Origin"), "https://map.example");
    EXPECT_EQ(asked.header("Access-Control-Max-Age"), "600");
    EXPECT_NE(asked.header("Access-Control-Allow-Headers").find("Authorization"), std::string::npos);
    EXPECT_EQ(asked.header("Content-Length"), "");
  }
  expect_problem(*ask("OPTIONS", "/nowhere", preflight("GET")), 404, "not_found");
  expect_problem(*ask("OPTIONS", "/api/v1/detections", kOrigin), 405, "method_not_allowed");
  expect_problem(
      *ask("OPTIONS", "/api/v1/detections", "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n"),
      405, "method_not_allowed");
}

}  // namespace
}  // namespace detection::http
