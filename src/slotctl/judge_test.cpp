// The verdict of a watch, each limit on both sides of it.

#include "slotctl/judge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "test_paths.hpp"

namespace detection::slotctl {
namespace {

using ::testing::HasSubstr;

std::string watch_file() {
  std::ifstream in(std::filesystem::path(DETECTION_SOURCE_ROOT) / "kubernetes/environments/watch.yaml");
  return {std::istreambuf_iterator<char>(in), {}};
}

Thresholds limits() {
  return parse_thresholds(watch_file()).value();
}

Evidence good() {
  const Figures figures{1000, 0.0, 0.02, 0.1, 0.9, 5.0};
  return {figures, figures, 0};
}

struct Case {
  const char* sign;
  std::function<void(Evidence&)> good, bad;
};

TEST(Judge, EachLimitOnBothSides) {
  const std::vector<Case> cases{
      {"errors 1.01 % > 1.00 %", [](Evidence& e) { e.now.error_ratio = 0.005; },
       [](Evidence& e) { e.now.error_ratio = 0.0101; }},
      {"the old slot had 0.00 %", [](Evidence& e) { e.now.error_ratio = 0.005; },
       [](Evidence& e) { e.now.error_ratio = 0.0051; }},
      {"p95 501 ms > 500 ms", [](Evidence& e) { e.now.latency_p95_s = e.before.latency_p95_s = 0.5; },
       [](Evidence& e) { e.now.latency_p95_s = e.before.latency_p95_s = 0.501; }},
      {"p95 130 ms, the old slot had 40 ms",
       [](Evidence& e) { e.now.latency_p95_s = 0.09, e.before.latency_p95_s = 0.001; },
       [](Evidence& e) { e.now.latency_p95_s = 0.13, e.before.latency_p95_s = 0.04; }},
      {"TAK p95 2001 ms > 2000 ms", [](Evidence& e) { e.now.tak_p95_s = 2; },
       [](Evidence& e) { e.now.tak_p95_s = 2.001; }},
      {"GREEN 84.00 %, the old slot had 90.00 %", [](Evidence& e) { e.now.green_ratio = 0.86; },
       [](Evidence& e) { e.now.green_ratio = 0.84; }},
      {"queue grown by 1001 > 1000", [](Evidence& e) { e.now.queue_items = 1005; },
       [](Evidence& e) { e.now.queue_items = 1006; }},
      {"1 restarts", [](Evidence& e) { e.restarts = 0; }, [](Evidence& e) { e.restarts = 1; }},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.sign);
    auto evidence = good();
    one.good(evidence);
    EXPECT_EQ(judge(evidence, limits()).verdict, Verdict::kGood) << judge(evidence, limits()).text;
    one.bad(evidence);
    const auto judged = judge(evidence, limits());
    EXPECT_EQ(judged.verdict, Verdict::kBad);
    EXPECT_THAT(judged.text, HasSubstr(one.sign));
  }
}

TEST(Judge, FewRequestsSayNothingAboutRatiosButRestartsStillCount) {
  auto evidence = good();
  evidence.now.requests = 19;
  evidence.now.error_ratio = 1;
  evidence.now.latency_p95_s = 9;
  EXPECT_EQ(judge(evidence, limits()).verdict, Verdict::kGood);
  EXPECT_THAT(judge(evidence, limits()).text, HasSubstr("too few"));
  evidence.restarts = 1;
  EXPECT_EQ(judge(evidence, limits()).verdict, Verdict::kBad);
  auto quiet_before = good();
  quiet_before.before.requests = 3;
  quiet_before.now.green_ratio = 0.1;
  EXPECT_EQ(judge(quiet_before, limits()).verdict, Verdict::kGood) << "an old slot without traffic is no measure";
}

TEST(Judge, OnlyEndsSinceTheSwitchAreRestarts) {
  SlotPods pods;
  pods.container_ends_s = {10, 20, 30};
  EXPECT_EQ(restarts_since(pods, 20), 2);
  EXPECT_EQ(restarts_since(pods, 31), 0);
}

TEST(Thresholds, EveryKeyIsNeededAndNoOtherIsKnown) {
  const auto text = watch_file();
  ASSERT_TRUE(parse_thresholds(text));
  const auto with = [&](const std::string& old, const std::string& now) {
    auto changed = text;
    const auto at = changed.find(old);
    EXPECT_NE(at, std::string::npos) << old;
    changed.replace(at, old.size(), now);
    const auto read = parse_thresholds(changed);
    return read ? std::string("accepted") : read.error().detail;
  };
  for (const char* key : {"duration_s", "interval_s", "window_s", "metrics_away_most_s", "requests_least",
                          "error_ratio", "latency_p95_s", "tak_p95_s", "queue_growth", "restarts", "error_ratio_over",
                          "latency_factor", "latency_floor_s", "green_ratio_under"})
    EXPECT_THAT(with(std::string(key) + ":", std::string(key) + "x:"), HasSubstr(key));
  EXPECT_THAT(with("error_ratio: 0.01", "error_ratio: 1%"), HasSubstr("limits.error_ratio must be a number"));
  EXPECT_THAT(with("restarts: 0", "restarts: -1"), HasSubstr("limits.restarts"));
  EXPECT_THAT(with("restarts: 0", "restarts: 0\n  cpu: 1"), HasSubstr("limits.cpu is not known"));
  EXPECT_THAT(with("interval_s: 5", "interval_s: 0"), HasSubstr("interval_s"));
}

}  // namespace
}  // namespace detection::slotctl
