#include "telemetry/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace detection::telemetry {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, EveryFamilyShowsItsTypeBeforeItsFirstSample) {
  Metrics metrics;
  const std::string text = metrics.expose();
  for (const auto& family : Metrics::families()) {
    EXPECT_THAT(text, HasSubstr("# TYPE " + std::string(family.name) + " ")) << family.name;
    EXPECT_THAT(text, HasSubstr("# HELP " + std::string(family.name) + " ")) << family.name;
  }
}

TEST(Metrics, NoFamilyIsDeclaredTwice) {
  std::set<std::string_view> names;
  for (const auto& family : Metrics::families()) EXPECT_TRUE(names.insert(family.name).second) << family.name;
}

TEST(Metrics, ACounterOfOneSeriesIsSharedByItsHandles) {
  Metrics metrics;
  auto first = metrics.counter(kTakPushTotal, {"tak", "success"});
  auto second = metrics.counter(kTakPushTotal, {"tak", "success"});
  first.increment();
  second.increment(2);
  EXPECT_THAT(metrics.expose(), HasSubstr("tak_push_total{sink=\"tak\",status=\"success\"} 3\n"));
}

TEST(Metrics, HandlesWithoutARegistryDoNothing) {
  Counter counter;
  counter.increment();
  Gauge gauge;
  gauge.set(1);
  Histogram histogram;
  histogram.observe(1);
}

TEST(Metrics, RefreshesRunBeforeEachScrape) {
  Metrics metrics;
  auto gauge = metrics.gauge(kOfflineQueueSize, {"tak"});
  double depth = 0;
  metrics.before_scrape([&] { gauge.set(++depth); });
  EXPECT_THAT(metrics.expose(), HasSubstr("offline_queue_size{sink=\"tak\"} 1\n"));
  EXPECT_THAT(metrics.expose(), HasSubstr("offline_queue_size{sink=\"tak\"} 2\n"));
}

TEST(Metrics, TheProcessSetIsThere) {
  Metrics metrics;
  const std::string text = metrics.expose();
  for (const auto* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                           "process_max_fds", "process_start_time_seconds", "process_virtual_memory_bytes"})
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " "));
}

TEST(Metrics, AHistogramCountsFromManyThreads) {
  Metrics metrics;
  auto histogram = metrics.histogram(kStoreCommitDurationSeconds);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([histogram]() mutable {
      for (int i = 0; i < 1000; ++i) histogram.observe(0.002);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(metrics.expose(), HasSubstr("store_commit_duration_seconds_count 4000\n"));
  EXPECT_THAT(metrics.expose(), HasSubstr("store_commit_duration_seconds_bucket{le=\"0.001\"} 0\n"));
}

TEST(MetricsDeathTest, AnUndeclaredNameEndsTheProgram) {
  Metrics metrics;
  EXPECT_DEATH((void)metrics.counter("no_such_metric"), "not declared");
  EXPECT_DEATH((void)metrics.gauge(kTakPushTotal, {"tak", "success"}), "not declared");
}

}  // namespace
}  // namespace detection::telemetry
