// The courier with a sink that does as the test says: filters, what is kept, pace, dead letters.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "pipeline/courier_test_support.hpp"

namespace detection::pipeline {
namespace {

using store::DeliveryState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string uid_in(const std::string& text) {
  const auto at = text.find(" uid=\"") + 6;
  return text.substr(at, text.find('"', at) - at);
}

/// Confirms what it is sent, at once and on the courier's thread, unless it is told otherwise.
class FakeSink final : public tak::Sink {
 public:
  struct Script {
    std::set<std::string> poison{};       ///< a batch with one of these ends the connection
    std::set<std::string> unencodable{};  ///< these are refused
    bool takes_nothing = false;           ///< every batch ends the connection
    bool answers_pings = true;            ///< before anything is sent
    std::size_t reconnects_most = 1'000'000;
  };
  explicit FakeSink(tak::SinkListener& listener) : listener_(listener) {}

  void start() override { connect(); }
  bool send(tak::BatchNumber number, std::shared_ptr<const tak::EventBatch> batch) override {
    std::vector<std::string> uids;
    for (std::size_t i = 0; i < batch->size(); ++i) {
      std::string text;
      batch->append(i, cot::WireFormat::kXml, system_now(), text);
      uids.push_back(uid_in(text));
    }
    bool ends = false;
    {
      const std::scoped_lock lock(mutex_);
      sizes_.push_back(uids.size());
      ends = script_.takes_nothing;
      for (const auto& uid : uids) ends = ends || script_.poison.contains(uid);
      if (!ends)
        for (std::size_t i = 0; i < uids.size(); ++i) {
          if (script_.unencodable.contains(uids[i]))
            listener_.event_refused(number, i, "the event is too large for a datagram");
          else
            arrived_.push_back(uids[i]);
        }
      ends = ends && losses_++ < script_.reconnects_most;
    }
    if (!ends) {
      listener_.batch_delivered(number, tak::Delivery::kConfirmed);
      listener_.sink_room();
      return true;
    }
    listener_.sink_lost("closed by the peer");
    connect();
    return true;
  }
  void announce(std::shared_ptr<const tak::EventBatch>) override {}
  void stop(std::chrono::milliseconds) override {}
  [[nodiscard]] tak::SinkStatus status() const override {
    const std::scoped_lock lock(mutex_);
    tak::SinkStatus status;
    status.connected = true;
    status.answers_pings = script_.answers_pings;
    return status;
  }

  void set(Script script) {
    const std::scoped_lock lock(mutex_);
    script_ = std::move(script);
  }
  [[nodiscard]] std::vector<std::string> arrived() const {
    const std::scoped_lock lock(mutex_);
    return arrived_;
  }
  [[nodiscard]] std::vector<std::size_t> sizes() const {
    const std::scoped_lock lock(mutex_);
    return sizes_;
  }
  [[nodiscard]] std::size_t losses() const {
    const std::scoped_lock lock(mutex_);
    return losses_;
  }

 private:
  void connect() {
    listener_.sink_ready();
    listener_.sink_room();
  }
  tak::SinkListener& listener_;
  mutable std::mutex mutex_;
  Script script_;
  std::vector<std::string> arrived_;
  std::vector<std::size_t> sizes_;
  std::size_t losses_ = 0;
};

class CourierPolicyTest : public CourierTest {
 protected:
  void start_with(CourierOptions options, FakeSink::Script script = {}) {
    options.make_sink = [this, script](const tak::SinkOptions&, tak::SinkListener& listener) {
      auto made = std::make_unique<FakeSink>(listener);
      made->set(script);
      sink_ = made.get();
      return made;
    };
    start_courier(std::move(options));
  }
  [[nodiscard]] store::SinkQueue queue() const { return store_->sink_queues()->at(0); }
  [[nodiscard]] bool drained() const {
    return wait_until([&] { return queue().queued == 0; });
  }
  static std::string uid(const Uuid& id) { return "DET." + to_string(id); }
  [[nodiscard]] std::string last_detail(const Uuid& id) const { return store_->timeline(id)->back().detail_json; }

  FakeSink* sink_ = nullptr;
};

TEST_F(CourierPolicyTest, AFilterLeavesOutAndSaysWhy) {
  CourierOptions options;
  options.filter.types = {"a-*"};
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto ids = committer_.commit(*store_, 100, store::Disposition::kQueue, [](auto& acceptance, std::size_t i) {
    if (i % 10 != 0) acceptance.located.cot_type = "b-m-p";
  });
  start_with(options);
  ASSERT_TRUE(drained());
  EXPECT_EQ(sink_->arrived().size(), 10U);
  EXPECT_EQ(queue().omitted, 90);
  EXPECT_EQ(state_of(ids[0]), DeliveryState::kDelivered);
  EXPECT_EQ(state_of(ids[1]), DeliveryState::kDiscarded);
  EXPECT_THAT(last_detail(ids[1]), HasSubstr("filtered"));
  EXPECT_TRUE(counted(R"(tak_omitted_total{reason="filtered",sink="tak"} 90)"));
}

TEST_F(CourierPolicyTest, WhatIsAllLeftOutIsConfirmedWithoutSending) {
  CourierOptions options;
  options.filter.sources = {"nobody"};
  start_with(options);
  const auto ids = committer_.commit(*store_, 50, store::Disposition::kQueue);
  ASSERT_TRUE(drained());
  EXPECT_THAT(sink_->sizes(), IsEmpty());
  EXPECT_EQ(state_of(ids[7]), DeliveryState::kDiscarded);
}

TEST_F(CourierPolicyTest, OfABacklogOnlyTheLatestOfEachUidGoesOut) {
  ASSERT_TRUE(store_->open_sink("tak"));
  std::map<std::string, Uuid> last;
  const auto ids = committer_.commit(*store_, 300, store::Disposition::kQueue, [&](auto& acceptance, std::size_t i) {
    acceptance.located.track_id = "t" + std::to_string(i % 3);
    acceptance.located.cot_uid = "DET.uav." + *acceptance.located.track_id;
    acceptance.located.observed = system_now();
    last[acceptance.located.cot_uid] = acceptance.located.id;
  });
  const auto held = committer_.commit(*store_, 1, store::Disposition::kHold);
  ASSERT_TRUE(decide(held[0], true));
  CourierOptions options;
  options.keep = {.latest = true};
  start_with(options);
  ASSERT_TRUE(drained());
  EXPECT_THAT(sink_->arrived(),
              ::testing::UnorderedElementsAre("DET.uav.t0", "DET.uav.t1", "DET.uav.t2", uid(held[0])));
  EXPECT_EQ(queue().omitted, 297);
  for (const auto& [name, id] : last) EXPECT_EQ(state_of(id), DeliveryState::kDelivered) << name;
  EXPECT_EQ(state_of(ids[0]), DeliveryState::kDiscarded);
  EXPECT_THAT(last_detail(ids[0]), HasSubstr("superseded"));
}

TEST_F(CourierPolicyTest, WhatIsStaleIsLeftOutOnlyWhereThatIsAskedFor) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto old = [](auto& acceptance, std::size_t i) {
    if (i < 3) acceptance.located.observed = system_now() + -std::chrono::hours(1);
  };
  const auto ids = committer_.commit(*store_, 5, store::Disposition::kQueue, old);
  CourierOptions options;
  options.keep = {.fresh = true};
  start_with(options);
  ASSERT_TRUE(drained());
  EXPECT_THAT(sink_->arrived(), ElementsAre(uid(ids[3]), uid(ids[4])));
  EXPECT_THAT(last_detail(ids[0]), HasSubstr("stale"));
}

TEST_F(CourierPolicyTest, ACappedSinkIsSentWhatTheBucketHolds) {
  ASSERT_TRUE(store_->open_sink("tak"));
  committer_.commit(*store_, 30, store::Disposition::kQueue);
  CourierOptions options;
  options.rate_per_s = 5;
  start_with(options);
  ASSERT_TRUE(wait_until([&] { return sink_->arrived().size() >= 7; }));
  const auto sizes = sink_->sizes();
  EXPECT_EQ(sizes.at(0), 5U) << "the events of one second at once";
  for (std::size_t i = 1; i < sizes.size(); ++i) EXPECT_LE(sizes[i], 5U);
  EXPECT_EQ(courier_->status().rate_per_s, 5);
  EXPECT_GT(courier_->status().delivered_per_s, 0);
  courier_->stop(0ms);  // prompt: the rest would take seconds
  EXPECT_GT(queue().queued, 0);
  store_->on_due({});
}

TEST_F(CourierPolicyTest, ACapCutsAClaimThatLooksFartherAhead) {
  ASSERT_TRUE(store_->open_sink("tak"));
  committer_.commit(*store_, 40, store::Disposition::kQueue, [](auto& acceptance, std::size_t i) {
    acceptance.located.cot_uid = "DET.u" + std::to_string(i % 8);
  });
  CourierOptions options;
  options.keep = {.latest = true};
  options.rate_per_s = 4;
  start_with(options);
  ASSERT_TRUE(drained());
  EXPECT_EQ(sink_->arrived().size(), 8U);
  EXPECT_EQ(sink_->sizes().at(0), 4U);
  EXPECT_EQ(queue().omitted, 32);
}

TEST_F(CourierPolicyTest, AnEventThatTheSinkRefusesIsADeadLetterAndTheRestArrives) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto ids = committer_.commit(*store_, 20, store::Disposition::kQueue);
  start_with({}, {.unencodable = {uid(ids[3]), uid(ids[17])}});
  ASSERT_TRUE(drained());
  EXPECT_EQ(sink_->arrived().size(), 18U);
  const auto letters = store_->dead_letters("tak", std::nullopt, 10);
  ASSERT_EQ(letters->items.size(), 2U);
  EXPECT_EQ(letters->items[1].id, ids[3]);
  EXPECT_THAT(letters->items[1].reason, HasSubstr("too large"));
  EXPECT_EQ(queue().delivered, 18);
  EXPECT_TRUE(counted(R"(tak_push_total{sink="tak",status="dead"} 2)"));
  sink_->set({});
  ASSERT_EQ(store_->retry_dead_letters("tak", "ann"), 2);
  ASSERT_TRUE(drained());
  EXPECT_EQ(state_of(ids[3]), DeliveryState::kDelivered);
}

TEST_F(CourierPolicyTest, AnEventThatEndsTheConnectionEachTimeIsFoundAndGivenUp) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto ids = committer_.commit(*store_, 60, store::Disposition::kQueue);
  const std::set<std::size_t> poison{0, 20, 21, 59};
  FakeSink::Script script;
  for (const auto i : poison) script.poison.insert(uid(ids[i]));
  start_with({}, script);
  ASSERT_TRUE(drained());
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(state_of(ids[i]), poison.contains(i) ? DeliveryState::kDeadLetter : DeliveryState::kDelivered) << i;
  const auto letters = store_->dead_letters("tak", std::nullopt, 10);
  ASSERT_EQ(letters->items.size(), poison.size());
  EXPECT_THAT(letters->items[0].reason, HasSubstr("the last time: closed by the peer"));
}

TEST_F(CourierPolicyTest, AServerThatIsDownMakesNoDeadLetters) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto ids = committer_.commit(*store_, 40, store::Disposition::kQueue);
  // Comes up, answers pings, and ends at whatever it is sent: 200 times.
  start_with({}, {.takes_nothing = true, .reconnects_most = 200});
  ASSERT_TRUE(wait_until([&] { return sink_->losses() >= 200; }));
  ASSERT_TRUE(drained());  // and then it is well
  EXPECT_EQ(queue().delivered, 40);
  EXPECT_EQ(queue().dead_letters, 0);
}

TEST_F(CourierPolicyTest, LossesBeforeTheServerHasAnsweredAPingMakeNoDeadLetters) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto ids = committer_.commit(*store_, 5, store::Disposition::kQueue);
  start_with({}, {.poison = {uid(ids[0])}, .answers_pings = false});
  // Careful, it now waits for an answer before it sends anything more.
  ASSERT_TRUE(wait_until([&] { return sink_->losses() >= 3; }));
  std::this_thread::sleep_for(200ms);  // only gives a mistake the time to show
  EXPECT_EQ(sink_->losses(), 3U);
  EXPECT_EQ(queue().dead_letters, 0);
  sink_->set({});
  ASSERT_TRUE(drained());
  EXPECT_EQ(queue().delivered, 5);
}

TEST_F(CourierPolicyTest, WhatIsSetAsideIsDueAgainAfterAStop) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto ids = committer_.commit(*store_, 3, store::Disposition::kQueue);
  start_with({}, {.takes_nothing = true});
  ASSERT_TRUE(wait_until([&] { return sink_->losses() >= 30; }));
  courier_->stop(0ms);
  store_->on_due({});
  EXPECT_EQ(queue().dead_letters, 0);
  EXPECT_EQ(store_->claim("tak", 10)->items.size(), 3U);
}

TEST_F(CourierPolicyTest, AtItsLimitTheQueueRefusesUntilItsServerIsBack) {
  CourierOptions options;
  options.sink.address = {tak::Scheme::kTcp, "127.0.0.1", 1, {}};
  options.limits = {.items = 10};
  auto made = make_courier(options, *store_, metrics_, log_);
  ASSERT_TRUE(made);
  committer_.commit(*store_, 10, store::Disposition::kQueue);
  EXPECT_EQ(queue().limits.items, 10);
  EXPECT_EQ(queue().queued, 10);
  made->reset();
  start_with(options);
  ASSERT_TRUE(drained());
  committer_.commit(*store_, 10, store::Disposition::kQueue);
  ASSERT_TRUE(drained());
}

}  // namespace
}  // namespace detection::pipeline
