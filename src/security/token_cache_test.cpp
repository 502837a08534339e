#include "security/token_cache.hpp"

#include <gtest/gtest.h>

namespace detection::security {
namespace {

std::shared_ptr<const Principal> somebody(UtcMicros expires = {1'000}) {
  auto principal = std::make_shared<Principal>();
  principal->expires = expires;
  return principal;
}
Digest token(int i) {
  return sha256(std::to_string(i));
}

TEST(TokenCache, RemembersUntilTheEndOrTheNextEpoch) {
  TokenCache cache;
  const auto one = somebody();
  cache.insert(token(1), 1, {0}, one);
  EXPECT_EQ(cache.find(token(1), 1, {999}), one);
  EXPECT_EQ(cache.find(token(1), 1, {1'000}), nullptr);
  EXPECT_EQ(cache.find(token(2), 1, {0}), nullptr);
  EXPECT_EQ(cache.find(token(1), 2, {0}), nullptr);
  // One that was looked at before the epoch moved on comes late.
  cache.insert(token(1), 1, {0}, somebody());
  EXPECT_EQ(cache.find(token(1), 2, {0}), nullptr);
}

TEST(TokenCache, IsBoundedAndAFloodDoesNotEmptyIt) {
  TokenCache cache;
  const auto often = somebody();
  cache.insert(token(-1), 1, {0}, often);
  constexpr int kFlood = 50'000;
  for (int i = 0; i < kFlood; ++i) {
    cache.insert(token(i), 1, {0}, somebody());
    ASSERT_EQ(cache.find(token(-1), 1, {0}), often) << "what is in use was thrown out after " << i;
  }
  EXPECT_LE(cache.size(1, {0}), TokenCache::kEntriesMost);
  EXPECT_GT(cache.size(1, {0}), TokenCache::kEntriesMost * 9 / 10);
  EXPECT_EQ(cache.size(2, {0}), 0U);
}

TEST(TokenCache, TheSameTokenTakesOnePlace) {
  TokenCache cache;
  for (int i = 0; i < 100; ++i) cache.insert(token(7), 1, {0}, somebody());
  EXPECT_EQ(cache.size(1, {0}), 1U);
}

}  // namespace
}  // namespace detection::security
