#include "pipeline/pace.hpp"

#include <gtest/gtest.h>

namespace detection::pipeline {
namespace {

using namespace std::chrono_literals;
constexpr SteadyTime kStart{std::chrono::hours(1)};

TEST(TokenBucket, WithoutACapAllGoes) {
  TokenBucket bucket(std::nullopt);
  EXPECT_FALSE(bucket.capped());
  EXPECT_EQ(bucket.available(kStart), SIZE_MAX);
  EXPECT_EQ(bucket.next(kStart), kStart);
}

TEST(TokenBucket, OneSecondsEventsAtOnceThenInTenths) {
  TokenBucket bucket(200);
  EXPECT_EQ(bucket.available(kStart), 200U);
  bucket.take(200);
  EXPECT_EQ(bucket.available(kStart), 0U);
  EXPECT_EQ(bucket.next(kStart), kStart + 100ms);
  EXPECT_EQ(bucket.available(kStart + 99ms), 0U) << "19 are not worth a batch";
  EXPECT_EQ(bucket.available(kStart + 100ms), 20U);
  bucket.take(20);
  EXPECT_EQ(bucket.available(kStart + 1h), 200U) << "no more than of a second are saved";
}

TEST(TokenBucket, OverAnyTimeTheAverageHolds) {
  for (const double per_s : {0.1, 1.0, 7.5, 200.0, 100'000.0}) {
    TokenBucket bucket(per_s);
    std::size_t sent = 0, wakes = 0;
    auto now = kStart;
    while (now < kStart + 100s) {
      const auto tokens = bucket.available(now);
      bucket.take(tokens);
      sent += tokens;
      const auto next = bucket.next(now);
      ASSERT_GT(next, now) << per_s << ": it would wait without end, or not at all";
      now = next;
      ++wakes;
    }
    EXPECT_LE(static_cast<double>(sent), 100 * per_s + std::max(1.0, per_s)) << per_s;
    EXPECT_GE(static_cast<double>(sent), 100 * per_s - 1) << per_s;
    EXPECT_LE(wakes, 1'102U) << per_s << ": at most about ten a second";
  }
}

TEST(RateMeter, TellsTheLastMinute) {
  RateMeter meter(kStart);
  EXPECT_EQ(meter.per_second(kStart), 0);
  meter.add(10, kStart);
  EXPECT_EQ(meter.per_second(kStart), 10) << "of a second at least";
  EXPECT_EQ(meter.per_second(kStart + 10s), 1);
  meter.add(50, kStart + 30s);
  EXPECT_DOUBLE_EQ(meter.per_second(kStart + 59s), 60.0 / 59);
  EXPECT_DOUBLE_EQ(meter.per_second(kStart + 80s), 50.0 / 60);
  EXPECT_EQ(meter.per_second(kStart + 91s), 0);
  meter.add(6, kStart + 1h);
  EXPECT_DOUBLE_EQ(meter.per_second(kStart + 1h), 0.1);
}

}  // namespace
}  // namespace detection::pipeline
