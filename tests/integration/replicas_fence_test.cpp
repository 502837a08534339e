// The release fence under load: two replicas of slot blue, one of slot green, each with a TAK server of its own behind
// the same sink, so that it shows who sent what.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/replicas.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// What the issue allows.
constexpr seconds kHandover{2};

class FenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "NOT TESTED: " << *why;
    server_ = std::make_unique<PostgresServer>(PostgresOptions{});
    Replicas::Plan plan{.count = 3, .slots = {"blue", "blue", "green"}};
    for (auto& sink : sinks_) {
      sink.start();
      plan.sinks.push_back({sink.url()});
    }
    replicas_ = std::make_unique<Replicas>(*server_, plan);
  }

  [[nodiscard]] std::uint64_t read_by(const std::string& slot) const {
    return slot == "blue" ? sinks_[0].events_read() + sinks_[1].events_read() : sinks_[2].events_read();
  }
  [[nodiscard]] double delivers(std::size_t replica) {
    return (*replicas_)[replica]
        .metric("release_slot_active{slot=\"" + std::string(replica == 2 ? "green" : "blue") + "\"}")
        .value_or(-1);
  }
  [[nodiscard]] nlohmann::json delivery(std::size_t replica) {
    auto client = (*replicas_)[replica].client();
    const auto answer = client.get("/api/v1/delivery");
    if (!answer || answer->status != 200) return nullptr;
    return nlohmann::json::parse(answer->body).at("sinks").at(0);
  }

  std::unique_ptr<PostgresServer> server_;
  std::array<FastSink, 3> sinks_;
  std::unique_ptr<Replicas> replicas_;
};

TEST_F(FenceTest, WithoutAnActiveSlotEveryoneIsReadyAndNobodyDelivers) {
  replicas_->start();
  EXPECT_EQ(replicas_->command({"slot", "get"}).out, "none\n");
  auto client = (*replicas_)[0].client();
  for (int i = 0; i < 20; ++i) {
    const auto answer = client.post("/api/v1/detections", detection_json(static_cast<std::uint64_t>(i)));
    ASSERT_TRUE(answer && answer->status == 201) << (answer ? answer->body : "no answer");
  }
  sleep_ms(3'000);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*replicas_)[i].ready_status(), 200);
    EXPECT_EQ(delivers(i), 0);
    EXPECT_EQ(sinks_[i].events_read(), 0U);
    EXPECT_EQ(sinks_[i].connections(), 1U) << "it is connected all the same";
    const auto said = delivery(i);
    ASSERT_TRUE(said.is_object());
    EXPECT_EQ(said.at("delivers"), false) << said;
    EXPECT_NE(said.at("delivers_reason").get<std::string>().find("is not the active one"), std::string::npos) << said;
  }
  set_slot(*replicas_, "green");
  EXPECT_TRUE(wait_until(seconds(20), [&] { return sinks_[2].distinct() == 20; }));
  EXPECT_EQ(read_by("blue"), 0U);
  const auto said = delivery(2);
  EXPECT_EQ(said.at("delivers"), true) << said;
}

TEST_F(FenceTest, SwitchedUnderLoadTheOtherSlotDeliversWithinTwoSecondsAndNothingComesTwice) {
  const auto seed = env_number("DETECTION_SEED", std::random_device{}() | 1U);
  std::printf("DETECTION_SEED=%llu\n", static_cast<unsigned long long>(seed));
  set_slot(*replicas_, "blue");
  replicas_->start();
  Told told;
  std::atomic<bool> stop{false};
  std::vector<std::jthread> clients;
  for (std::size_t i = 0; i < 3; ++i)
    clients.emplace_back([&, i] { post_until(stop, (*replicas_)[i], seed + i, told); });
  ASSERT_TRUE(wait_until(seconds(20), [&] { return read_by("blue") > 0; })) << replicas_->logs();
  std::string active = "blue";
  for (int round = 0; round < 6; ++round) {
    sleep_ms(1'500);
    const std::string next = active == "blue" ? "green" : "blue";
    const auto before = read_by(next);
    set_slot(*replicas_, next);
    const auto set = steady_clock::now();  // the command has returned: from here the other one may be late
    const bool delivers_now = wait_until(seconds(20), [&] { return read_by(next) > before; });
    const auto took = steady_clock::now() - set;
    ASSERT_TRUE(delivers_now) << "slot " << next << " does not deliver\n" << replicas_->logs();
    EXPECT_LE(took, kHandover) << "slot " << next << " delivered after "
                               << std::chrono::duration_cast<milliseconds>(took).count() << " ms";
    std::this_thread::sleep_until(set + kHandover);
    const auto frozen = read_by(active);
    sleep_ms(1'000);
    EXPECT_EQ(read_by(active), frozen) << "slot " << active << " sent more than 2 s after it was switched off";
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(delivers(i), (i == 2) == (next == "green") ? 1 : 0) << i;
    std::printf("%s -> %s: %lld ms\n", active.c_str(), next.c_str(),
                static_cast<long long>(std::chrono::duration_cast<milliseconds>(took).count()));
    active = next;
  }
  stop.store(true);
  clients.clear();
  ASSERT_TRUE(replicas_->spools_empty(minutes(1)));
  const std::size_t winner = active == "green" ? 2 : 0;
  ASSERT_TRUE(wait_until(minutes(1), [&] {
    sleep_ms(100);
    return (*replicas_)[winner].metric(R"(offline_queue_size{sink="tak"})") == 0.0;
  })) << replicas_->logs();

  std::unordered_map<std::string, std::uint32_t> times;
  for (const auto& sink : sinks_)
    for (const auto& [uid, count] : sink.uids()) times[uid] += count;
  std::size_t lost = 0, twice = 0;
  for (const auto& id : told.acknowledged()) lost += times.contains("DET." + id) ? 0 : 1;
  for (const auto& [uid, count] : times) twice += count > 1 ? 1 : 0;
  EXPECT_EQ(lost, 0U) << "acknowledged and never at a TAK server";
  EXPECT_EQ(twice, 0U) << "came twice, though every handover was clean";
  EXPECT_GT(told.acknowledged().size(), 500U) << "there was no load";
  (void)confirmed_once(*replicas_);
  expect_audit_holds(*replicas_);
}

TEST_F(FenceTest, AKilledDelivererIsFollowedByAnotherOfItsSlot) {
  set_slot(*replicas_, "blue");
  replicas_->start();
  Told told;
  std::atomic<bool> stop{false};
  std::jthread client([&] { post_until(stop, (*replicas_)[2], 7, told); });
  ASSERT_TRUE(wait_until(seconds(20), [&] { return read_by("blue") > 100; })) << replicas_->logs();
  const std::size_t deliverer = delivery(0).at("delivers") == true ? 0 : 1, other = 1 - deliverer;
  EXPECT_EQ(delivery(other).at("delivers_reason"), "another process delivers");
  const auto before = sinks_[other].events_read();
  (*replicas_)[deliverer].kill();
  EXPECT_TRUE(wait_until(seconds(10), [&] { return sinks_[other].events_read() > before; })) << replicas_->logs();
  stop.store(true);
  client.join();
  EXPECT_EQ(sinks_[2].events_read(), 0U) << "slot green is not the active one";
  ASSERT_TRUE(wait_until(minutes(1),
                         [&] {
                           std::unordered_map<std::string, std::uint32_t> uids = sinks_[0].uids();
                           uids.merge(sinks_[1].uids());
                           sleep_ms(100);
                           return std::ranges::all_of(told.acknowledged(),
                                                      [&](const auto& id) { return uids.contains("DET." + id); });
                         }))
      << "not all that was acknowledged reached a TAK server\n"
      << replicas_->logs();
}

}  // namespace
}  // namespace detection::integration
