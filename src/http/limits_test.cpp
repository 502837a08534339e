// Rates, buckets, addresses: what decides who is served, without a socket.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "http/auth_watch.hpp"
#include "http/client_address.hpp"
#include "http/known_credentials.hpp"
#include "http/rate_limit.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const RateLimiter::Time kStart{std::chrono::hours{100}};

TEST(ParseRate, Table) {
  struct Case {
    std::string_view text;
    double per_s, burst;
  };
  for (const auto& [text, per_s, burst] :
       {Case{"2000:4000", 2000, 4000}, Case{"2:10", 2, 10}, Case{"0.5:1", 0.5, 1}, Case{"7/s:7", 7, 7},
        Case{"10/m:10", 10.0 / 60, 10}, Case{"100/h:50", 100.0 / 3600, 50}, Case{"1/h:1", 1.0 / 3600, 1},
        Case{"1000000:1000000", 1e6, 1e6}}) {
    const auto rate = parse_rate(text);
    ASSERT_TRUE(rate) << text;
    EXPECT_DOUBLE_EQ(rate->per_s, per_s) << text;
    EXPECT_DOUBLE_EQ(rate->burst, burst) << text;
  }
  for (const auto* text : {"",      "2000", ":",    "2000:", ":4000", "a:1",     "1:a",    "1:1:1", "0:1",
                           "-1:1",  "1:0",  "1:-1", "1:1.5", "1/d:1", "1/:1",    "1/mm:1", "nan:1", "inf:1",
                           "1:nan", " 1:1", "1:1 ", "2e6:1", "1:1e7", "0.5/h:1", "1x:1"}) {
    const auto rate = parse_rate(text);
    ASSERT_FALSE(rate) << text;
    EXPECT_EQ(rate.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(rate.error().detail, HasSubstr("'" + std::string(text) + "'"));
  }
}

TEST(RateLimiter, BurstThenRate) {
  RateLimiter limiter("subject", {2, 4}, 64, 1);
  const auto key = limiter.key("a");
  for (int i = 3; i >= 0; --i) {
    const auto verdict = limiter.take(key, kStart);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_EQ(verdict.remaining, i);
  }
  auto refused = limiter.take(key, kStart);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.wait_s, 1) << "half a second, rounded up";
  EXPECT_EQ(refused.full_in_s, 2);
  EXPECT_FALSE(limiter.take(key, kStart + milliseconds{499}).allowed);
  EXPECT_TRUE(limiter.take(key, kStart + milliseconds{500}).allowed);
  EXPECT_FALSE(limiter.take(key, kStart + milliseconds{500}).allowed);
  // A refused one costs nothing, and time gives back no more than the burst.
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limiter.take(key, kStart + minutes{10}).allowed ? 1 : 0;
  EXPECT_EQ(allowed, 4);
  EXPECT_TRUE(limiter.take(limiter.key("b"), kStart).allowed) << "another's bucket is another";
}

TEST(RateLimiter, DebtIsPaidBackBeforeTheNextOne) {
  RateLimiter limiter("subject", {1, 2}, 64, 1);
  const auto key = limiter.key("a");
  EXPECT_TRUE(limiter.take(key, kStart).allowed);
  limiter.charge(key, 5, kStart);
  const auto refused = limiter.take(key, kStart);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_EQ(refused.wait_s, 5);
  EXPECT_FALSE(limiter.take(key, kStart + seconds{4}).allowed);
  EXPECT_TRUE(limiter.take(key, kStart + seconds{5}).allowed);
}

TEST(RateLimiter, NobodyWhoDoesNotKnowTheSeedKnowsTheNeighbours) {
  const RateLimiter one("subject", {1, 2}, 64, 1), other("subject", {1, 2}, 64, 2);
  for (const auto* name : {"", "a", "1234567", "12345678", "a longer name"})
    EXPECT_NE(one.key(name).place, other.key(name).place) << name;
}

TEST(RateLimiter, PeekTakesNothing) {
  RateLimiter limiter("address", {1, 1}, 64, 1);
  const auto key = limiter.key("a");
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limiter.peek(key, kStart).allowed);
  EXPECT_TRUE(limiter.take(key, kStart).allowed);
  EXPECT_FALSE(limiter.peek(key, kStart).allowed);
}

TEST(RateLimiter, EverNewNamesDoNotGoRoundIt) {
  constexpr int kBuckets = 64, kBurst = 5;
  RateLimiter limiter("address", {1, kBurst}, kBuckets, 42);
  int allowed = 0;
  for (int i = 0; i < 100'000; ++i)
    allowed += limiter.take(limiter.key("address-" + std::to_string(i)), kStart).allowed ? 1 : 0;
  EXPECT_LE(allowed, kBuckets * kBurst);
  EXPECT_GE(allowed, kBuckets * kBurst / 2);
  // And who had spent its budget did not get a new one by being pushed out.
  RateLimiter second("address", {1, kBurst}, kBuckets, 43);
  const auto mine = second.key("mine");
  for (int i = 0; i < kBurst; ++i) EXPECT_TRUE(second.take(mine, kStart).allowed);
  for (int i = 0; i < 100'000; ++i) static_cast<void>(second.take(second.key(std::to_string(i)), kStart));
  EXPECT_FALSE(second.take(mine, kStart).allowed);
  // After a while all is as before.
  EXPECT_TRUE(second.take(mine, kStart + minutes{1}).allowed);
}

TEST(RateLimiter, Headers) {
  RateLimiter limiter("subject", {2000, 4000}, 64, 1);
  std::string lines;
  limiter.append_headers(lines, limiter.take(limiter.key("a"), kStart));
  EXPECT_EQ(lines, "RateLimit-Policy: \"subject\";q=4000;w=2\r\nRateLimit: \"subject\";r=3999;t=1\r\n");
  RateLimiter slow("token", *parse_rate("10/m:10"), 64, 1);
  lines.clear();
  slow.append_headers(lines, slow.take(slow.key("a"), kStart));
  EXPECT_EQ(lines, "RateLimit-Policy: \"token\";q=10;w=60\r\nRateLimit: \"token\";r=9;t=6\r\n");
}

ClientAddress address(std::string_view text) {
  return parse_address(text).value_or(ClientAddress{});
}

TEST(Addresses, BlocksTable) {
  struct Case {
    std::string_view block, address;
    bool inside;
  };
  for (const auto& [block, other, inside] :
       {Case{"10.0.0.0/8", "10.255.1.2", true}, Case{"10.0.0.0/8", "11.0.0.1", false},
        Case{"192.0.2.7", "192.0.2.7", true}, Case{"192.0.2.7", "192.0.2.8", false},
        Case{"192.0.2.0/25", "192.0.2.127", true}, Case{"192.0.2.0/25", "192.0.2.128", false},
        Case{"0.0.0.0/0", "203.0.113.1", true}, Case{"0.0.0.0/0", "2001:db8::1", false},
        Case{"::/0", "203.0.113.1", true}, Case{"fd00::/8", "fd12:3456::1", true}, Case{"fd00::/8", "fe80::1", false},
        Case{"2001:db8::1", "2001:db8::1", true}, Case{"::ffff:10.0.0.0/104", "10.1.2.3", true}}) {
    const auto parsed = parse_address_block(block);
    ASSERT_TRUE(parsed) << block;
    EXPECT_EQ(parsed->contains(address(other)), inside) << block << " " << other;
  }
  for (const auto* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "10.0.0",
                           "proxy.example", "[fd00::]/8", "10.1.2.3/8", "fd00::1/8", "10.0.0.0/8/8", "fe80::1%eth0"}) {
    const auto parsed = parse_address_block(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(parsed.error().detail, HasSubstr("'" + std::string(text) + "'"));
  }
}

TEST(Addresses, ClientBehindProxiesTable) {
  const std::array trusted{*parse_address_block("10.0.0.0/8"), *parse_address_block("fd00::/8")};
  struct Case {
    std::string_view peer, forwarded, client;
  };
  for (const auto& [peer, forwarded, client] : {
           Case{"203.0.113.9", "", "203.0.113.9"},
           Case{"203.0.113.9", "198.51.100.1", "203.0.113.9"},  // not trusted: whatever it says
           Case{"10.0.0.1", "", "10.0.0.1"},
           Case{"10.0.0.1", "198.51.100.1", "198.51.100.1"},
           Case{"10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"},  // what the client itself wrote does not count
           Case{"10.0.0.1", "198.51.100.1, 10.0.0.2 ,\t10.0.0.3", "198.51.100.1"},
           Case{"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},  // all trusted: the first hop
           Case{"10.0.0.1", "198.51.100.1, junk, 10.0.0.2", "10.0.0.2"},
           Case{"10.0.0.1", "junk", "10.0.0.1"},
           Case{"10.0.0.1", "198.51.100.1,", "10.0.0.1"},
           Case{"10.0.0.1", ",", "10.0.0.1"},
           Case{"10.0.0.1", "198.51.100.1:4711", "198.51.100.1"},
           Case{"10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"},
           Case{"fd00::1", "2001:db8::1", "2001:db8::1"},
           Case{"10.0.0.1", "[2001:db8::1", "10.0.0.1"},
           Case{"10.0.0.1", "unknown, 198.51.100.1", "198.51.100.1"},
       })
    EXPECT_EQ(address_text(client_address(address(peer), forwarded, trusted)), client) << peer << " | " << forwarded;
  std::string many;
  for (int i = 0; i < 2'000; ++i) many += "10.0.0.1,";
  EXPECT_EQ(address_text(client_address(address("10.0.0.1"), many + "10.0.0.2", trusted)), "10.0.0.1");
}

TEST(Addresses, OneClientIsAnAddressOrASixtyFour) {
  EXPECT_EQ(network_text(network_of(address("192.0.2.7"))), "192.0.2.7");
  EXPECT_EQ(network_text(network_of(address("2001:db8:1:2:3:4:5:6"))), "2001:db8:1:2::/64");
  EXPECT_EQ(network_of(address("2001:db8:1:2:3::1")), network_of(address("2001:db8:1:2:9::9")));
  EXPECT_NE(network_of(address("2001:db8:1:2::1")), network_of(address("2001:db8:1:3::1")));
  EXPECT_NE(network_of(address("192.0.2.7")), network_of(address("192.0.2.8")));
}

TEST(KnownCredentials, AreKnownUntilForgotten) {
  const auto known = std::make_unique<KnownCredentials>(7);
  const std::string token(200, 'x');
  EXPECT_FALSE(known->contains(token + "a"));
  known->learn(token + "a");
  EXPECT_TRUE(known->contains(token + "a"));
  EXPECT_FALSE(known->contains(token + "b"));
  EXPECT_FALSE(known->contains("a"));
  known->forget(token + "b");
  EXPECT_TRUE(known->contains(token + "a"));
  known->forget(token + "a");
  EXPECT_FALSE(known->contains(token + "a"));
  EXPECT_FALSE(known->contains(""));
}

std::uint64_t failures_in(const std::vector<store::AuditEntry>& entries) {
  std::uint64_t sum = 0;
  for (const auto& entry : entries) {
    const auto at = entry.detail_json.find("\"failures\":");
    sum += std::strtoull(entry.detail_json.c_str() + at + 11, nullptr, 10);
  }
  return sum;
}

TEST(AuthLedger, FirstAtOnceThenOnceAMinute) {
  AuthLedger ledger({});
  const auto network = network_of(address("192.0.2.7"));
  EXPECT_FALSE(ledger.pending());
  EXPECT_TRUE(ledger.note(network, AuthFailure::kInvalid, kStart));
  auto entries = ledger.due(kStart);
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].type, "auth_failure");
  EXPECT_EQ(entries[0].severity, "WARNING");
  EXPECT_EQ(entries[0].actor, "192.0.2.7");
  EXPECT_EQ(entries[0].detail_json, R"({"address":"192.0.2.7","failures":1,"reasons":{"invalid":1}})");
  for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(ledger.note(network, AuthFailure::kInvalid, kStart + seconds{1}));
  EXPECT_FALSE(ledger.note(network, AuthFailure::kMissing, kStart + seconds{2}));
  EXPECT_THAT(ledger.due(kStart + seconds{59}), IsEmpty());
  entries = ledger.due(kStart + seconds{60});
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].detail_json,
            R"({"address":"192.0.2.7","failures":1001,"reasons":{"missing":1,"invalid":1000}})");
  EXPECT_TRUE(ledger.pending());
  EXPECT_THAT(ledger.due(kStart + seconds{120}), IsEmpty());
  EXPECT_FALSE(ledger.pending()) << "quiet for a minute: forgotten";
  EXPECT_TRUE(ledger.note(network, AuthFailure::kInvalid, kStart + seconds{121}));
  EXPECT_EQ(failures_in(ledger.due(kStart + seconds{121})), 1U);
}

TEST(AuthLedger, AFloodFillsNeitherMemoryNorDisk) {
  const AuthWatchLimits limits{.addresses_most = 100, .records_most = 10};
  AuthLedger ledger(limits);
  std::uint64_t noted = 0, recorded = 0;
  std::size_t records = 0;
  for (int second = 0; second < 180; ++second) {
    const auto now = kStart + seconds{second};
    for (int i = 0; i < 50; ++i, ++noted) {
      ClientAddress from = address("192.0.2.7");
      from[13] = static_cast<std::uint8_t>(second);
      from[14] = static_cast<std::uint8_t>(i);
      static_cast<void>(ledger.note(network_of(from), AuthFailure::kInvalid, now));
    }
    const auto entries = ledger.due(now);
    records += entries.size();
    recorded += failures_in(entries);
  }
  const auto last = ledger.due(kStart + seconds{180}, true);
  EXPECT_EQ(recorded + failures_in(last), noted) << "every failure is counted somewhere";
  EXPECT_LE(records, 3 * (limits.records_most + 1) + 1);
  EXPECT_GE(records, 10U);
}

}  // namespace
}  // namespace detection::http
