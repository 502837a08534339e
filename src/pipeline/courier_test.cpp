// The courier between a real SQLite store and a real TCP server.

#include <gtest/gtest.h>

#include "integration/support/fast_sink.hpp"
#include "pipeline/courier_test_support.hpp"

namespace detection::pipeline {
namespace {

using integration::FastSink;
using integration::PingReply;

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
  EXPECT_TRUE(counted("tak_push_total{sink=\"tak\",status=\"success\"} 100"));
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
  EXPECT_TRUE(counted("tak_reconnects_total{sink=\"tak\"} 1"));
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
  EXPECT_TRUE(counted("offline_queue_synced_total{sink=\"tak\"} 50"));
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
  EXPECT_TRUE(counted("tak_push_total{sink=\"tak\",status=\"unconfirmed\"} 20"));
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
