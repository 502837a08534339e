// Entity tags, CORS, the token endpoint's request, the read cache: without a socket.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/client_credentials.hpp"
#include "http/cors.hpp"
#include "http/etag.hpp"
#include "http/read_cache.hpp"

namespace detection::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(EntityTag, IsOfTheContent) {
  EXPECT_EQ(etag_of("a"), etag_of("a"));
  EXPECT_NE(etag_of("a"), etag_of("b"));
  EXPECT_EQ(etag_of("a").size(), 34U);
  EXPECT_EQ(etag_of("a").front(), '"');
}

TEST(EntityTag, IfNoneMatchTable) {
  const std::string_view tag = "\"abc\"";
  for (const auto* list : {"\"abc\"", "W/\"abc\"", "*", " * ", "\"x\", \"abc\"", "\"x\",W/\"abc\" , \"y\"", "\"abc\",",
                           "\"a,b\", \"abc\""})
    EXPECT_TRUE(names_etag(list, tag)) << list;
  for (const auto* list : {"", "abc", "\"ab\"", "\"abcd\"", "w/\"abc\"", "\"abc", "\"x\" \"abc\"", "*, \"abc\"", "W/",
                           "\"x\",", "\"x, \\\"abc\\\"\""})
    EXPECT_FALSE(names_etag(list, tag)) << list;
}

TEST(CrossOrigin, OnlyWhatIsConfigured) {
  const Cors none({});
  std::string lines;
  none.append_headers(lines, "https://map.example");
  EXPECT_EQ(lines, "");
  const Cors some({"https://map.example", "https://b.example"});
  some.append_headers(lines, "https://map.example");
  EXPECT_THAT(lines, HasSubstr("Access-Control-Allow-Origin: https://map.example\r\n"));
  EXPECT_THAT(lines, HasSubstr("Vary: Origin\r\n"));
  EXPECT_THAT(lines, Not(HasSubstr("Credentials")));
  for (const auto* origin : {"", "null", "https://map.example.evil", "http://map.example", "https://MAP.example",
                             "https://map.example/", "*"}) {
    lines.clear();
    some.append_headers(lines, origin);
    EXPECT_EQ(lines, "Vary: Origin\r\n") << origin;
  }
  RequestHead head;
  head.method = Method::kOptions;
  head.origin = "https://b.example";
  EXPECT_FALSE(some.is_preflight(head));
  head.requested_method = "POST";
  EXPECT_TRUE(some.is_preflight(head));
  EXPECT_FALSE(none.is_preflight(head));
  head.origin = "https://c.example";
  EXPECT_FALSE(some.is_preflight(head));
}

TEST(GrantRequestTest, ReadsBothFormsAndBothPlaces) {
  // dsk:s%3At, "id" and "s:t"
  for (const auto& [authorization, body, form] :
       {std::tuple{"", "grant_type=client_credentials&client_id=id&client_secret=s%3At&scope=a+b", true},
        std::tuple{"", R"({"grant_type":"client_credentials","client_id":"id","client_secret":"s:t","scope":"a b"})",
                   false},
        std::tuple{"Basic aWQ6cyUzQXQ=", "grant_type=client_credentials&scope=a%20b", true},
        std::tuple{"basic aWQ6czp0", "grant_type=client_credentials&scope=a%20b&client_id=id", true}}) {
    const auto request = read_grant(authorization, body, form);
    ASSERT_TRUE(request) << body << request.error().error.detail;
    EXPECT_EQ(request->client_id, "id");
    EXPECT_EQ(request->client_secret, "s:t");
    EXPECT_EQ(request->scope, "a b");
  }
}

TEST(GrantRequestTest, ErrorsHaveTheirOAuthName) {
  struct Case {
    std::string_view authorization, body, name;
    ErrorCode code;
  };
  constexpr std::string_view kGrant = "grant_type=client_credentials";
  using enum ErrorCode;
  for (const auto& [authorization, body, name, code] : {
           Case{"", "", "invalid_request", kMalformedRequest},
           Case{"", "client_id=a&client_secret=b", "invalid_request", kMalformedRequest},
           Case{"", "grant_type=password&client_id=a&client_secret=b", "unsupported_grant_type", kMalformedRequest},
           Case{"", "grant_type=client_credentials&grant_type=client_credentials", "invalid_request",
                kMalformedRequest},
           Case{"", "grant_type=%zz", "invalid_request", kMalformedRequest},
           Case{"", kGrant, "invalid_client", kUnauthorized},
           Case{"", "grant_type=client_credentials&client_id=a", "invalid_client", kUnauthorized},
           Case{"Bearer x", kGrant, "invalid_client", kUnauthorized},
           Case{"Basic", kGrant, "invalid_client", kUnauthorized},
           Case{"Basic !!!!", kGrant, "invalid_client", kUnauthorized},
           Case{"Basic aWQ=", kGrant, "invalid_client", kUnauthorized},      // no colon
           Case{"Basic aWQ6JXp6", kGrant, "invalid_client", kUnauthorized},  // id:%zz
           Case{"Basic aWQ6czp0", "grant_type=client_credentials&client_secret=x", "invalid_request",
                kMalformedRequest},
           Case{"Basic aWQ6czp0", "grant_type=client_credentials&client_id=other", "invalid_request",
                kMalformedRequest},
       }) {
    const auto request = read_grant(authorization, body, true);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().name, name) << authorization << " | " << body;
    EXPECT_EQ(request.error().error.code, code) << authorization << " | " << body;
  }
  const auto json = read_grant("", "{", false);
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().name, "invalid_request");
  EXPECT_EQ(json.error().error.code, ErrorCode::kMalformedJson);
}

CachedDetection detection_of(std::uint8_t number) {
  store::StoredDetection stored;
  stored.located.id.bytes[15] = number;
  stored.sequence = number;
  return std::make_shared<const store::StoredDetection>(std::move(stored));
}

TEST(ReadCacheTest, IsBoundedAndDropsTheLeastLatelyRead) {
  telemetry::Metrics metrics;
  ReadCache cache(8, metrics);  // one entry a shard
  for (int i = 0; i < 200; ++i) cache.put(detection_of(static_cast<std::uint8_t>(i)));
  int found = 0;
  for (int i = 0; i < 200; ++i) {
    Uuid id;
    id.bytes[15] = static_cast<std::uint8_t>(i);
    const auto hit = cache.find(id);
    if (!hit) continue;
    ++found;
    EXPECT_EQ(hit->sequence, i);
  }
  EXPECT_GE(found, 1);
  EXPECT_LE(found, 8);
  const auto text = metrics.expose();
  EXPECT_THAT(text, HasSubstr("cache_hits_total{cache=\"detections\"} " + std::to_string(found) + "\n"));
  EXPECT_THAT(text, HasSubstr("cache_misses_total{cache=\"detections\"} " + std::to_string(200 - found) + "\n"));
}

TEST(ReadCacheTest, OfNoEntriesKeepsNothing) {
  telemetry::Metrics metrics;
  ReadCache cache(0, metrics);
  cache.put(detection_of(1));
  EXPECT_EQ(cache.find(detection_of(1)->located.id), nullptr);
  cache.erase(detection_of(1)->located.id);
}

TEST(ReadCacheTest, EraseAndReplace) {
  telemetry::Metrics metrics;
  ReadCache cache(64, metrics);
  cache.put(detection_of(1));
  store::StoredDetection other;
  other.located.id.bytes[15] = 1;
  other.sequence = 77;
  cache.put(std::make_shared<const store::StoredDetection>(std::move(other)));
  EXPECT_EQ(cache.find(detection_of(1)->located.id)->sequence, 77);
  cache.erase(detection_of(1)->located.id);
  EXPECT_EQ(cache.find(detection_of(1)->located.id), nullptr);
}

}  // namespace
}  // namespace detection::http
