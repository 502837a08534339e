#include "pipeline/queue_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <unistd.h>

#include "pipeline/courier_test_support.hpp"

namespace detection::pipeline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(UsageRatio, IsOfTheScarcerLimit) {
  store::SinkQueue queue;
  queue.queued = 50;
  queue.bytes = 900;
  EXPECT_EQ(usage_ratio(queue), 0);
  queue.limits = {.items = 100};
  EXPECT_EQ(usage_ratio(queue), 0.5);
  queue.limits = {.items = 100, .bytes = 1'000};
  EXPECT_EQ(usage_ratio(queue), 0.9);
}

/// The log of the courier's fixture goes nowhere, so these have one of their own.
class QueueWatchTest : public CourierTest {
 protected:
  QueueWatchTest() { EXPECT_EQ(pipe(pipe_), 0); }
  ~QueueWatchTest() override {
    close(pipe_[0]);
    close(pipe_[1]);
  }
  /// What the log was told of it.
  std::size_t warnings(const std::function<void(QueueWatch&)>& work, const Courier& courier) {
    {
      telemetry::Log log(pipe_[1]);
      QueueWatch watch(*store_, {&courier}, {.items = 10}, metrics_, log);
      work(watch);
    }
    ::write(pipe_[1], "\n#", 2) == 2 ? void() : ADD_FAILURE();
    std::string text;
    char buffer[4096];
    while (text.find("\n#") == std::string::npos) {
      const auto got = ::read(pipe_[0], buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("queue_filling", at)) != std::string::npos; ++at) ++count;
    return count;
  }
  int pipe_[2] = {-1, -1};
};

TEST_F(QueueWatchTest, WarnsOnceForEachThresholdAndAnewWhenItHasFallen) {
  CourierOptions options;
  options.sink.address = {tak::Scheme::kTcp, "127.0.0.1", 1, {}};
  options.limits = {.items = 10};
  auto courier = make_courier(options, *store_, metrics_, log_);
  ASSERT_TRUE(courier);
  const auto put = [&](std::size_t count) { committer_.commit(*store_, count, store::Disposition::kQueue); };
  const auto take = [&](std::size_t count) {
    const auto claim = store_->claim("tak", count);
    ASSERT_TRUE(store_->confirm(*claim, store::Confirmation::kConfirmed, system_now()));
  };
  std::string at_eight, at_nine;
  EXPECT_EQ(warnings(
                [&](QueueWatch& watch) {
                  put(7);
                  watch.look();
                },
                **courier),
            0U);
  EXPECT_EQ(warnings(
                [&](QueueWatch& watch) {
                  put(1);
                  for (int i = 0; i < 5; ++i) watch.look();
                  at_eight = metrics_.expose();
                  put(1);
                  for (int i = 0; i < 5; ++i) watch.look();
                  at_nine = metrics_.expose();
                  take(2);
                  watch.look();
                  put(2);
                  watch.look();
                },
                **courier),
            3U)
      << "80 %, 90 %, and 90 % anew";
  EXPECT_THAT(at_eight, HasSubstr("offline_queue_usage_ratio{sink=\"tak\"} 0.8"));
  EXPECT_THAT(at_nine, HasSubstr("offline_queue_usage_ratio{sink=\"tak\"} 0.9"));
  EXPECT_THAT(at_nine, HasSubstr("offline_queue_size{sink=\"tak\"} 9"));
  EXPECT_THAT(at_nine, HasSubstr("offline_queue_capacity_items 10"));
  EXPECT_THAT(at_nine, Not(HasSubstr("tak_certificate_expiry_timestamp_seconds{")));
}

}  // namespace
}  // namespace detection::pipeline
