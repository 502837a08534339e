// Limits over several processes, with the store that they share and the clock played by the test.

#include "http/rate_sharing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "http/forwarding_store.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What the processes of one database know of each other.
struct Ledger {
  std::vector<std::map<std::string, double>> due;  ///< by process: what it has not been told yet
};

class SharingStore final : public ForwardingStore {
 public:
  SharingStore(Ledger& ledger, std::size_t process) : ForwardingStore(nullptr), ledger_(ledger), process_(process) {}

  Result<std::vector<store::SharedUsage>> share_usage(const std::vector<store::SharedUsage>& spent) override {
    if (away) return fail(ErrorCode::kStoreUnavailable, "away");
    for (const auto& [key, tokens] : spent) {
      EXPECT_LE(key.size(), 64U);
      told.insert(key);
      for (std::size_t other = 0; other < ledger_.due.size(); ++other)
        if (other != process_) ledger_.due[other][key] += tokens;
    }
    std::vector<store::SharedUsage> answer;
    for (const auto& [key, tokens] : ledger_.due[process_]) answer.push_back({key, tokens});
    ledger_.due[process_].clear();
    return answer;
  }

  bool away = false;
  std::set<std::string> told;

 private:
  Ledger& ledger_;
  const std::size_t process_;
};

RateLimiter::Time the_time{std::chrono::hours{100}};
RateLimiter::Time read_time() noexcept {
  return the_time;
}

struct Process {
  Process(Ledger& ledger, std::size_t number, const RateLimits& limits)
      : gates(limits, true), store(ledger, number), sharing(gates, store, log) {}
  RateGates gates;
  SharingStore store;
  telemetry::Log log{-1};
  RateSharing sharing;
};

constexpr std::size_t kProcesses = 3;
constexpr double kRate_per_s = 200, kBurst = 100, kLag_s = 2;

std::vector<std::unique_ptr<Process>> processes(Ledger& ledger) {
  ledger.due.assign(kProcesses, {});
  std::vector<std::unique_ptr<Process>> all;
  for (std::size_t i = 0; i < kProcesses; ++i)
    all.push_back(std::make_unique<Process>(ledger, i, RateLimits{true, {kRate_per_s, kBurst}, {1, 2}, {1, 2}}));
  return all;
}

/// One caller asks all of them as often as it can, for so long, each exchanging once a second at its own moment; how
/// many requests were allowed in each millisecond.
std::vector<int> storm(std::vector<std::unique_ptr<Process>>& all, seconds length, bool exchanging) {
  std::vector<int> allowed(static_cast<std::size_t>(milliseconds(length).count()));
  for (std::size_t ms = 0; ms < allowed.size(); ++ms, the_time += milliseconds{1}) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto& limiter = all[i]->gates.subject;
      while (limiter.take(limiter.key("ann"), the_time).allowed) ++allowed[ms];
      if (exchanging && ms % 1'000 == 137 + 311 * i) all[i]->sharing.exchange(read_time);
    }
  }
  return allowed;
}

/// The most by which any stretch of time has more than its rate.
double most_over_rate(const std::vector<int>& allowed) {
  double most = 0, here = 0;
  for (const int count : allowed) {
    here = std::max(0.0, here) + count - kRate_per_s / 1'000;
    most = std::max(most, here);
  }
  return most;
}

constexpr double kMostOver = kProcesses * kBurst + (kProcesses - 1) * kRate_per_s * kLag_s;

TEST(RateSharing, OverAnyTimeAllTogetherAllowWhatTheHeaderSays) {
  Ledger ledger;
  auto all = processes(ledger);
  const auto allowed = storm(all, seconds{60}, true);
  EXPECT_LE(most_over_rate(allowed), kMostOver + 1);
  int sum = 0;
  for (const int count : allowed) sum += count;
  EXPECT_GE(sum, 0.95 * kRate_per_s * 60) << "nobody gets much less than the rate either";
}

TEST(RateSharing, WithoutExchangesEachLimitsByItself) {
  Ledger ledger;
  auto all = processes(ledger);
  for (auto& process : all) process->store.away = true;
  const auto allowed = storm(all, seconds{60}, true);
  EXPECT_GT(most_over_rate(allowed), kMostOver) << "so the other test can fail";
  EXPECT_NEAR(most_over_rate(allowed), (kProcesses - 1) * kRate_per_s * 60 + kProcesses * kBurst, kProcesses * kBurst);
  // What was used while the store was away is not told later: nobody starts in debt for it.
  for (auto& process : all) {
    process->sharing.exchange(read_time);
    process->store.away = false;
  }
  the_time += seconds{5};
  for (auto& process : all) process->sharing.exchange(read_time);
  auto& limiter = all[0]->gates.subject;
  EXPECT_EQ(limiter.peek(limiter.key("ann"), the_time).remaining, kBurst);
}

TEST(RateSharing, CallersAreToldByAHashAndOnlyWhereTheyAreMeant) {
  Ledger ledger;
  auto all = processes(ledger);
  auto& here = all[0]->gates;
  auto& there = all[1]->gates;
  ASSERT_TRUE(here.address.take(here.address.key("ann"), the_time).allowed);
  here.subject.charge(here.subject.key("bob"), 7, the_time);
  for (auto& process : all) process->sharing.exchange(read_time);
  EXPECT_THAT(all[0]->store.told, ::testing::ElementsAre(::testing::MatchesRegex("address:[0-9a-f]+"),
                                                         ::testing::MatchesRegex("subject:[0-9a-f]+")));
  EXPECT_EQ(there.address.peek(there.address.key("ann"), the_time).remaining, 1);
  EXPECT_EQ(there.token.peek(there.token.key("ann"), the_time).remaining, 2) << "another limiter";
  EXPECT_EQ(there.subject.peek(there.subject.key("ann"), the_time).remaining, kBurst) << "another limiter";
  EXPECT_EQ(there.subject.peek(there.subject.key("bob"), the_time).remaining, kBurst - 7);
  EXPECT_EQ(here.subject.peek(here.subject.key("bob"), the_time).remaining, kBurst - 7) << "it is charged once";
}

TEST(RateSharing, ANeighbourThatCountsWronglyShutsNobodyOutForGood) {
  Ledger ledger;
  auto all = processes(ledger);
  auto& limiter = all[0]->gates.subject;
  const auto key = limiter.key("ann");
  for (int i = 0; i < 3; ++i) {
    ledger.due[0][shared_key(limiter, key.id)] = 1e300;
    all[0]->sharing.exchange(read_time);
  }
  EXPECT_FALSE(limiter.peek(key, the_time).allowed);
  const auto paid = std::chrono::duration_cast<milliseconds>(
      std::chrono::duration<double>((1 + RateLimiter::kForeignDebtMost) * kBurst / kRate_per_s));
  EXPECT_TRUE(limiter.peek(key, the_time + paid).allowed);
  for (const auto* text : {"", "subject", "subject:", "subject:zz", "other:00000000000000000000000000000000",
                           "subject:0000000000000000000000000000000g", "subject:00"})
    ledger.due[1][text] = 1;
  ledger.due[1][shared_key(limiter, key.id)] = std::nan("");
  all[1]->sharing.exchange(read_time);
  auto& other = all[1]->gates.subject;
  EXPECT_EQ(other.peek(other.key("ann"), the_time).remaining, kBurst) << "what is no use of anybody counts for nothing";
}

TEST(RateSharing, WhatOneProcessTellsIsBounded) {
  RateLimiter limiter("address", {1, 2}, 65'536, 7, true);
  for (int i = 0; i < 20'000; ++i) (void)limiter.take(limiter.key("address " + std::to_string(i)), the_time);
  const auto used = limiter.take_used();
  EXPECT_LE(used.size(), 1'024U);
  EXPECT_GE(used.size(), 1'000U);
  EXPECT_TRUE(limiter.take_used().empty());
}

}  // namespace
}  // namespace detection::http
