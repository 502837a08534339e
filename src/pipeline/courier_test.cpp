// The courier between a real SQLite store and a real TCP server.

#include "pipeline/courier.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "pipeline/normalise.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::pipeline {
namespace {

using integration::FastSink;
using integration::PingReply;
using namespace std::chrono_literals;

/// Commits one after the other.
class Committer final : public store::CommitHome {
 public:
  void committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept override {
    const std::scoped_lock lock(mutex_);
    for (auto& job : jobs) done_ = std::move(job);
    came_.notify_one();
  }

  std::vector<Uuid> commit(store::Store& store, std::size_t count, store::Disposition disposition) {
    auto job = std::make_unique<store::CommitJob>();
    std::vector<Uuid> ids;
    for (std::size_t i = 0; i < count; ++i) {
      store::Acceptance acceptance;
      auto& located = acceptance.located;
      located.id = mint_.mint(system_now());
      located.observed = located.received = system_now();
      located.object_class = "vehicle";
      located.ai_confidence = 0.9;
      located.source = "uav";
      located.camera_id = "eo";
      located.fix.position = {40, -74, 10};
      located.fix.ce90_m = 12;
      located.fix.le90_m = 5;
      located.verdict = {Flag::kGreen, 0};
      located.cot_uid = "DET." + to_string(located.id);
      located.cot_type = "a-u-G-E-V";
      acceptance.request_json = "{}";
      acceptance.content_sha256 = sha256(acceptance.request_json);
      acceptance.disposition = disposition;
      ids.push_back(located.id);
      job->items.push_back(std::move(acceptance));
    }
    job->home = this;
    EXPECT_TRUE(store.submit(job));
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(came_.wait_for(lock, 10s, [&] { return done_ != nullptr; }));
    EXPECT_FALSE(done_->error);
    done_.reset();
    return ids;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::unique_ptr<store::CommitJob> done_;
  UuidMint mint_{11};
};

bool wait_until(const std::function<bool()>& condition) {
  const auto by = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > by) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

class CourierTest : public ::testing::Test {
 protected:
  CourierTest() {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ("courier_test_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) +
                  std::to_string(getpid()));
    store::sqlite::Options options;
    options.directory = directory_;
    auto opened = store::sqlite::open(options);
    EXPECT_TRUE(opened) << opened.error().detail;
    store_ = std::move(*opened);
  }
  ~CourierTest() override {
    courier_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void start_courier(std::uint16_t port, std::chrono::milliseconds pong_timeout = 200ms) {
    CourierOptions options;
    options.sink.address = {tak::Scheme::kTcp, "127.0.0.1", port};
    options.sink.pong_timeout = pong_timeout;
    options.batch_events = 16;
    auto made = make_courier(options, *store_, metrics_, log_);
    ASSERT_TRUE(made) << made.error().detail;
    courier_ = std::move(*made);
    store_->on_due([this] { courier_->wake(); });
    courier_->start();
  }

  [[nodiscard]] store::DeliveryState state_of(const Uuid& id) { return store_->delivery_status(id)->state; }
  [[nodiscard]] store::DeliveryState sink_state_of(const Uuid& id) {
    return store_->delivery_status(id)->sinks.at(0).second;
  }
  bool decide(const Uuid& id, bool verified) {
    const auto done = store_->verify({id, {verified, "", "ann", {}}, ""});
    return done && done->changed;
  }
  bool wait_for_state(const std::vector<Uuid>& ids, store::DeliveryState state) {
    return wait_until([&] {
      for (const auto& id : ids)
        if (state_of(id) != state) return false;
      return true;
    });
  }

  std::filesystem::path directory_;
  telemetry::Metrics metrics_;
  telemetry::Log log_{-1};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Courier> courier_;
  Committer committer_;
};

TEST_F(CourierTest, WhatIsAcceptedIsDeliveredOnceAndRecorded) {
  FastSink sink;
  sink.start();
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 100, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  const auto uids = sink.uids();
  ASSERT_EQ(uids.size(), 100U);
  for (const auto& id : ids) EXPECT_EQ(uids.at("DET." + to_string(id)), 1U);
  const auto timeline = store_->timeline(ids.back());
  ASSERT_TRUE(timeline);
  EXPECT_EQ(std::count_if(timeline->begin(), timeline->end(),
                          [](const auto& event) { return event.type == "tak_push_success"; }),
            1);
  EXPECT_NE(metrics_.expose().find("tak_push_total{sink=\"tak\",status=\"success\"} 100"), std::string::npos);
}

TEST_F(CourierTest, HeldAndDiscardedOnesStay) {
  FastSink sink;
  sink.start();
  start_courier(sink.port());
  const auto held = committer_.commit(*store_, 3, store::Disposition::kHold);
  const auto discarded = committer_.commit(*store_, 3, store::Disposition::kDiscard);
  const auto sent = committer_.commit(*store_, 1, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(sent, store::DeliveryState::kDelivered));
  for (const auto& id : held) EXPECT_EQ(state_of(id), store::DeliveryState::kHeld);
  for (const auto& id : discarded) EXPECT_EQ(state_of(id), store::DeliveryState::kDiscarded);
  EXPECT_EQ(sink.distinct(), 1U);
}

TEST_F(CourierTest, AReleasedOneIsSentAndALateRejectionTakesItBack) {
  FastSink sink;
  sink.start();
  start_courier(sink.port());
  const auto held = committer_.commit(*store_, 2, store::Disposition::kHold);
  const auto uid = "DET." + to_string(held[0]), deleted = uid + "-delete";
  ASSERT_TRUE(decide(held[0], true));
  ASSERT_TRUE(wait_for_state({held[0]}, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.uids().at(uid), 1U);
  EXPECT_EQ(sink.distinct(), 1U);
  ASSERT_TRUE(decide(held[0], false));
  ASSERT_TRUE(wait_until([&] { return sink.uids().contains(deleted); }));
  ASSERT_TRUE(wait_until([&] { return sink_state_of(held[0]) == store::DeliveryState::kRejected; }));
  // What TAK never had is not taken back.
  ASSERT_TRUE(decide(held[1], false));
  const auto sent = committer_.commit(*store_, 1, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(sent, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.uids().at(deleted), 1U);
  EXPECT_EQ(sink.distinct(), 3U);
  EXPECT_EQ(sink.malformed(), 0U);
  ASSERT_TRUE(decide(held[0], true));
  ASSERT_TRUE(wait_for_state({held[0]}, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.uids().at(uid), 2U);
}

TEST_F(CourierTest, WhatIsRejectedWhileTheServerIsAwayNeverComes) {
  FastSink sink;
  start_courier(sink.port());
  const auto held = committer_.commit(*store_, 1, store::Disposition::kHold);
  ASSERT_TRUE(decide(held[0], true));
  ASSERT_TRUE(wait_until([&] { return courier_->status().connection.attempts >= 1; }));
  ASSERT_TRUE(decide(held[0], false));
  EXPECT_EQ(sink_state_of(held[0]), store::DeliveryState::kRejected);
  sink.start();
  const auto sent = committer_.commit(*store_, 1, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(sent, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.distinct(), 1U);
}

TEST_F(CourierTest, ARejectionOfWhatIsOnItsWayFollowsIt) {
  integration::FastSinkOptions options;
  options.reply = PingReply::kSilent;
  FastSink sink(options);
  sink.start();
  start_courier(sink.port(), 1min);  // so the delivery stays unconfirmed
  const auto held = committer_.commit(*store_, 1, store::Disposition::kHold);
  ASSERT_TRUE(decide(held[0], true));
  ASSERT_TRUE(wait_until([&] { return sink.events_read() == 1; }));
  ASSERT_TRUE(decide(held[0], false));
  EXPECT_EQ(sink_state_of(held[0]), store::DeliveryState::kQueued);
  sink.reply_with(PingReply::kPong);
  sink.cut_connections();
  ASSERT_TRUE(wait_until([&] { return sink_state_of(held[0]) == store::DeliveryState::kRejected; }));
  EXPECT_EQ(sink.uids().at("DET." + to_string(held[0]) + "-delete"), 1U);
}

TEST_F(CourierTest, ACutConnectionLosesNothing) {
  FastSink sink;
  sink.start();
  sink.cut_after_bytes(20'000);
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 200, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.cuts(), 1U);
  EXPECT_EQ(sink.distinct(), 200U);
  EXPECT_NE(metrics_.expose().find("tak_reconnects_total{sink=\"tak\"} 1"), std::string::npos);
}

TEST_F(CourierTest, WhatWaitsWhileTheServerIsAwayComesWhenItReturns) {
  FastSink sink;
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 50, store::Disposition::kQueue);
  ASSERT_TRUE(wait_until([&] { return courier_->status().connection.attempts >= 2; }));
  EXPECT_FALSE(courier_->status().connection.connected);
  EXPECT_EQ(state_of(ids.front()), store::DeliveryState::kQueued);
  sink.start();
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.distinct(), 50U);
  EXPECT_NE(metrics_.expose().find("offline_queue_synced_total{sink=\"tak\"} 50"), std::string::npos);
}

TEST_F(CourierTest, AServerThatNeverAnswersIsSaidToBeUnconfirmed) {
  integration::FastSinkOptions options;
  options.reply = PingReply::kSilent;
  FastSink sink(options);
  sink.start();
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 20, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_FALSE(courier_->status().confirms);
  EXPECT_NE(metrics_.expose().find("tak_push_total{sink=\"tak\",status=\"unconfirmed\"} 20"), std::string::npos);
}

TEST_F(CourierTest, AStopGivesBackWhatIsInFlight) {
  integration::FastSinkOptions options;
  options.reply = PingReply::kSilent;
  FastSink sink(options);
  sink.start();
  start_courier(sink.port(), 1min);
  const auto ids = committer_.commit(*store_, 20, store::Disposition::kQueue);
  ASSERT_TRUE(wait_until([&] { return sink.events_read() == 20; }));
  courier_->stop(0ms);
  store_->on_due({});
  // Unconfirmed when it stopped, so it is due again: at least once.
  EXPECT_EQ(state_of(ids.front()), store::DeliveryState::kQueued);
  const auto again = store_->claim("tak", 100);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->items.size(), 20U);
}

}  // namespace
}  // namespace detection::pipeline
