// The courier where several processes share a store: claims that run out, leases that are lost, a store that is away.

#include <gtest/gtest.h>

#include <atomic>

#include "integration/support/fast_sink.hpp"
#include "pipeline/courier_test_support.hpp"
#include "pipeline/patience.hpp"
#include "store/forwarding_store.hpp"

namespace detection::pipeline {
namespace {

using integration::FastSink;
using std::chrono::steady_clock;

/// A SQLite store that behaves as one that is shared.
class LeasedStore final : public store::ForwardingStore {
 public:
  explicit LeasedStore(std::unique_ptr<store::Store> inner) : inner_(std::move(inner)) {}

  Result<store::Claim> claim(std::string_view sink, std::size_t limit) override {
    ++claims;
    if (away) return fail(ErrorCode::kStoreUnavailable, "away");
    if (elsewhere) {
      store::Claim none;
      none.sink = sink;
      none.elsewhere = true;
      return none;
    }
    auto claim = ForwardingStore::claim(sink, limit);
    if (claim) claim->good_until = steady_clock::now() + std::chrono::milliseconds(good_for_ms.load());
    return claim;
  }
  Result<void> confirm(const store::Claim& claim, store::Confirmation how, UtcMicros sent,
                       const std::vector<store::Omission>& omitted) override {
    ++confirms;
    if (confirm_away) return fail(ErrorCode::kStoreUnavailable, "away");
    if (conflicts > 0) {
      --conflicts;
      return fail(ErrorCode::kConflict, "the lease was lost");
    }
    return ForwardingStore::confirm(claim, how, sent, omitted);
  }

  std::atomic<bool> away{false}, elsewhere{false}, confirm_away{false};
  std::atomic<int> good_for_ms{60'000}, conflicts{0}, claims{0}, confirms{0};

 private:
  [[nodiscard]] store::Store* target() const noexcept override { return inner_.get(); }
  std::unique_ptr<store::Store> inner_;
};

class CourierLeaseTest : public CourierTest {
 protected:
  CourierLeaseTest() {
    auto leased = std::make_unique<LeasedStore>(std::move(store_));
    leased_ = leased.get();
    store_ = std::move(leased);
  }
  [[nodiscard]] std::int64_t dead_letters() {
    const auto queues = store_->sink_queues();
    return queues && !queues->empty() ? queues->front().dead_letters : -1;
  }

  LeasedStore* leased_;
};

TEST_F(CourierLeaseTest, AClaimThatHasRunOutIsNotSentAndIsDueAgain) {
  FastSink sink;
  sink.start();
  leased_->good_for_ms = 0;
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 40, store::Disposition::kQueue);
  ASSERT_TRUE(wait_until([&] { return leased_->claims >= 4; }));
  EXPECT_EQ(sink.events_read(), 0U);
  leased_->good_for_ms = 60'000;
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.events(), 40U) << "each once";
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(CourierLeaseTest, ALostLeaseIsNoFailureOfItsEvents) {
  FastSink sink;
  sink.start();
  leased_->conflicts = 12;  // more than any event has strikes
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 5, store::Disposition::kQueue);
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_EQ(leased_->conflicts, 0);
  EXPECT_EQ(dead_letters(), 0);
  EXPECT_EQ(sink.connections(), 1U) << "it is no reason to connect anew";
  EXPECT_TRUE(counted("tak_push_total{sink=\"tak\",status=\"success\"} 5"));
  EXPECT_TRUE(counted("tak_push_total{sink=\"tak\",status=\"dead\"} 0"));
}

TEST_F(CourierLeaseTest, WhileAnotherProcessHasTheSinkItStaysConnectedAndSendsNothing) {
  FastSink sink;
  sink.start();
  leased_->elsewhere = true;
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 5, store::Disposition::kQueue);
  ASSERT_TRUE(wait_until([&] { return leased_->claims >= 3; }));
  EXPECT_TRUE(courier_->status().elsewhere);
  EXPECT_TRUE(courier_->status().connection.connected);
  EXPECT_EQ(sink.events_read(), 0U);
  leased_->elsewhere = false;
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_FALSE(courier_->status().elsewhere);
  EXPECT_EQ(sink.connections(), 1U);
}

TEST_F(CourierLeaseTest, AStoreThatIsAwayIsAskedNowAndThen) {
  FastSink sink;
  sink.start();
  leased_->away = true;
  start_courier(sink.port());
  ASSERT_TRUE(wait_until([&] { return leased_->claims >= 1; }));
  const auto begun = steady_clock::now();
  for (int i = 0; i < 200; ++i) {
    courier_->wake();  // as often as something becomes due
    std::this_thread::sleep_for(2ms);
  }
  // At most one a Patience::kFirst.
  EXPECT_LE(leased_->claims, 2 + (steady_clock::now() - begun) / Patience::kFirst);
  const auto ids = committer_.commit(*store_, 5, store::Disposition::kQueue);
  leased_->away = false;
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
}

TEST_F(CourierLeaseTest, WhatCannotBeRecordedYetIsRecordedWhenTheStoreIsBack) {
  FastSink sink;
  sink.start();
  leased_->confirm_away = true;
  start_courier(sink.port());
  const auto ids = committer_.commit(*store_, 5, store::Disposition::kQueue);
  ASSERT_TRUE(wait_until([&] { return leased_->confirms >= 2; }));
  leased_->confirm_away = false;
  ASSERT_TRUE(wait_for_state(ids, store::DeliveryState::kDelivered));
  EXPECT_EQ(sink.events(), 5U) << "not sent a second time";
}

}  // namespace
}  // namespace detection::pipeline
