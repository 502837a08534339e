// Acceptance: commits, repeats, reading back, audit. Claims: store_contract_claims.cpp; lists:
// store_contract_lists.cpp.

#include "contract/store_contract.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void StoreContract::put(std::uint64_t first, std::uint64_t last, const std::function<void(Acceptance&)>& change) {
  std::vector<Acceptance> items;
  for (auto i = first; i <= last; ++i) {
    items.push_back(sample(i));
    if (change) change(items.back());
  }
  const auto job = commit(store(), std::move(items));
  ASSERT_FALSE(job->error) << job->error->detail;
  for (const auto& result : job->results) ASSERT_EQ(result.outcome, CommitOutcome::kCreated);
}

Claim StoreContract::claim(std::string_view sink, std::size_t limit) {
  auto claim = store().claim(sink, limit);
  EXPECT_TRUE(claim) << claim.error().detail;
  return claim ? std::move(*claim) : Claim{};
}

void StoreContract::confirm(const Claim& claim, Confirmation how) {
  const auto done = store().confirm(claim, how, system_now());
  EXPECT_TRUE(done) << done.error().detail;
}

SinkQueue StoreContract::queue(std::string_view sink) {
  const auto queues = store().sink_queues();
  EXPECT_TRUE(queues);
  if (queues)
    for (const auto& one : *queues)
      if (one.sink == sink) return one;
  ADD_FAILURE() << "no queue " << sink;
  return {};
}

DeliveryState StoreContract::state(std::uint64_t i) {
  const auto status = store().delivery_status(sample_id(i));
  EXPECT_TRUE(status) << status.error().detail;
  return status ? status->state : DeliveryState::kSpooled;
}

std::vector<std::string> StoreContract::timeline_types(const Uuid& id) {
  std::vector<std::string> types;
  const auto events = store().timeline(id);
  EXPECT_TRUE(events) << events.error().detail;
  if (events)
    for (const auto& event : *events) types.push_back(event.type);
  return types;
}

void StoreContract::expect_valid_audit() {
  const auto verdict = store().verify_audit();
  ASSERT_TRUE(verdict) << verdict.error().detail;
  EXPECT_TRUE(verdict->valid) << verdict->first_bad.value_or("");
}

std::vector<std::int64_t> sequences(const Claim& claim) {
  std::vector<std::int64_t> out;
  for (const auto& item : claim.items) out.push_back(item.sequence);
  return out;
}

std::vector<std::int64_t> sequences(const ListPage& page) {
  std::vector<std::int64_t> out;
  for (const auto& [stored, status] : page.items) out.push_back(stored.sequence);
  return out;
}

void expect_same(const LocatedDetection& a, const LocatedDetection& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.observed, b.observed);
  EXPECT_EQ(a.received, b.received);
  EXPECT_EQ(a.object_class, b.object_class);
  EXPECT_EQ(a.ai_confidence, b.ai_confidence);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.camera_id, b.camera_id);
  EXPECT_EQ(a.track_id, b.track_id);
  EXPECT_EQ(a.exercise, b.exercise);
  EXPECT_EQ(a.pixel.x_px, b.pixel.x_px);
  EXPECT_EQ(a.pixel.y_px, b.pixel.y_px);
  EXPECT_EQ(a.fix.position.lat_deg, b.fix.position.lat_deg);
  EXPECT_EQ(a.fix.position.lon_deg, b.fix.position.lon_deg);
  EXPECT_EQ(a.fix.hae_known, b.fix.hae_known);
  if (a.fix.hae_known) {
    EXPECT_EQ(a.fix.position.hae_m, b.fix.position.hae_m);
  }
  EXPECT_EQ(a.fix.source, b.fix.source);
  EXPECT_EQ(a.fix.covariance_enu_m2, b.fix.covariance_enu_m2);
  EXPECT_EQ(a.fix.ce90_m, b.fix.ce90_m);
  EXPECT_EQ(a.fix.le90_m, b.fix.le90_m);
  EXPECT_EQ(a.fix.ellipse.semi_major_m, b.fix.ellipse.semi_major_m);
  EXPECT_EQ(a.fix.ellipse.semi_minor_m, b.fix.ellipse.semi_minor_m);
  EXPECT_EQ(a.fix.ellipse.azimuth_deg, b.fix.ellipse.azimuth_deg);
  EXPECT_EQ(a.fix.ellipse.probability, b.fix.ellipse.probability);
  EXPECT_EQ(a.fix.slant_range_m, b.fix.slant_range_m);
  EXPECT_EQ(a.fix.grazing_deg, b.fix.grazing_deg);
  EXPECT_EQ(a.fix.grazing, b.fix.grazing);
  EXPECT_EQ(a.fix.outside_image, b.fix.outside_image);
  EXPECT_EQ(a.verdict.flag, b.verdict.flag);
  EXPECT_EQ(a.verdict.reasons, b.verdict.reasons);
  EXPECT_EQ(a.cot_uid, b.cot_uid);
  EXPECT_EQ(a.cot_type, b.cot_type);
}

TEST_P(StoreContract, WhatIsCommittedReadsBackExactlyAlsoAfterARestart) {
  auto plain = sample(1);
  auto odd = sample(2);
  odd.located.track_id = "track \"7\"\n\xc3\xa9";
  odd.located.exercise = true;
  odd.located.object_class = "";
  odd.located.ai_confidence = 0.1 + 0.2;
  odd.located.fix.position = {-89.999999999999986, -180, std::numeric_limits<double>::quiet_NaN()};
  odd.located.fix.hae_known = false;
  odd.located.fix.ce90_m.reset();
  odd.located.fix.le90_m.reset();
  odd.located.fix.source = PositionSource::kTerrain;
  odd.located.fix.grazing = odd.located.fix.outside_image = true;
  odd.located.fix.covariance_enu_m2 = {5e-324, -0.0, 1e308, -1.5, 1 / 3.0, 0};
  odd.located.verdict = {Flag::kRed, 0x3f};
  odd.disposition = Disposition::kHold;
  odd.request_json = R"({"text":"é\u0000","n":[1,2]})" + std::string(100'000, ' ');
  odd.content_sha256.fill(0xff);
  const auto items = {plain, odd};
  ASSERT_FALSE(commit(store(), items)->error);
  for (int round = 0; round < 2; ++round) {
    std::int64_t sequence = 0;
    for (const auto& item : items) {
      const auto found = store().find(item.located.id);
      ASSERT_TRUE(found && *found);
      expect_same((*found)->located, item.located);
      EXPECT_EQ((*found)->sequence, ++sequence);
      EXPECT_EQ((*found)->disposition, item.disposition);
      EXPECT_EQ((*found)->request_json, item.request_json);
      EXPECT_EQ((*found)->content_sha256, item.content_sha256);
    }
    expect_valid_audit();
    reopen();
  }
  const auto unknown = store().find(sample_id(3));
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
}

TEST_P(StoreContract, ARepeatGivesTheFirstAndOtherContentIsAConflict) {
  put(1, 1);
  auto again = sample(1);
  again.located.received.count += 5'000'000;  // came later, same content
  const auto repeat = commit(store(), {again});
  ASSERT_FALSE(repeat->error);
  ASSERT_EQ(repeat->results.at(0).outcome, CommitOutcome::kRepeated);
  EXPECT_EQ(repeat->results[0].sequence, 1);
  ASSERT_TRUE(repeat->results[0].first);
  expect_same(repeat->results[0].first->located, sample(1).located);
  EXPECT_EQ(repeat->results[0].first->request_json, sample(1).request_json);

  auto other = sample(1);
  other.content_sha256[5] ^= 1;
  const auto conflict = commit(store(), {other});
  ASSERT_FALSE(conflict->error);
  EXPECT_EQ(conflict->results.at(0).outcome, CommitOutcome::kConflict);
  EXPECT_EQ(store().status().detections, 1);
  EXPECT_EQ(store().verify_audit()->records, 1);
  EXPECT_EQ(timeline_types(sample_id(1)).size(), 5U);
}

TEST_P(StoreContract, OneBatchMayHoldTheSameIdTwice) {
  auto other = sample(2);
  other.content_sha256[5] ^= 1;
  const auto job = commit(store(), {sample(1), sample(2), sample(1), other, sample(3)});
  ASSERT_FALSE(job->error);
  std::vector<CommitOutcome> outcomes;
  std::vector<std::int64_t> numbers;
  for (const auto& result : job->results) {
    outcomes.push_back(result.outcome);
    numbers.push_back(result.sequence);
  }
  using enum CommitOutcome;
  EXPECT_THAT(outcomes, ElementsAre(kCreated, kCreated, kRepeated, kConflict, kCreated));
  EXPECT_THAT(numbers, ElementsAre(1, 2, 1, 2, 3));
  ASSERT_TRUE(job->results[2].first);
  EXPECT_EQ(job->results[2].first->sequence, 1);
  expect_valid_audit();
}

TEST_P(StoreContract, ALargeBatchIsAllThereOrNotAtAll) {
  std::vector<Acceptance> items;
  for (std::uint64_t i = 1; i <= 2'000; ++i) items.push_back(sample(i));
  items.back().located.fix.position.lat_deg = std::numeric_limits<double>::quiet_NaN();
  const auto bad = commit(store(), items);
  ASSERT_TRUE(bad->error);
  EXPECT_TRUE(bad->results.empty());
  EXPECT_EQ(store().status().detections, 0);
  EXPECT_TRUE(store().status().writable) << store().status().reason;
  EXPECT_FALSE(*store().find(sample_id(1)));

  items.back() = sample(2'000);
  const auto good = commit(store(), items);
  ASSERT_FALSE(good->error) << good->error->detail;
  for (std::size_t i = 0; i < items.size(); ++i)
    EXPECT_EQ(good->results.at(i).sequence, static_cast<std::int64_t>(i) + 1);
  expect_valid_audit();
}

TEST_P(StoreContract, ARecordThatIsRefusedLosesNoneOfItsNeighbours) {
  Inbox inbox;
  constexpr std::uint64_t kJobs = 400;
  for (std::uint64_t i = 1; i <= kJobs; ++i) {
    auto item = sample(i);
    if (i % 7 == 0) item.located.fix.ce90_m = std::numeric_limits<double>::infinity();
    auto job = job_of({item}, inbox);
    ASSERT_TRUE(store().submit(job));
  }
  std::set<std::int64_t> numbers;
  std::size_t refused = 0;
  for (std::size_t back = 0; back < kJobs;) {
    const auto jobs = inbox.wait_for(1);
    back += jobs.size();
    for (const auto& job : jobs) {
      const bool bad = std::isinf(job->items[0].located.fix.ce90_m.value_or(0));
      EXPECT_EQ(job->error.has_value(), bad);
      if (bad)
        ++refused;
      else
        numbers.insert(job->results.at(0).sequence);
    }
  }
  EXPECT_EQ(refused, kJobs / 7);
  ASSERT_EQ(numbers.size(), kJobs - kJobs / 7);
  EXPECT_EQ(*numbers.begin(), 1);
  EXPECT_EQ(*numbers.rbegin(), static_cast<std::int64_t>(numbers.size())) << "not gapless";
  EXPECT_TRUE(store().status().writable);
  expect_valid_audit();
}

TEST_P(StoreContract, JobsGoBackToTheirOwnHomesWithTheirContext) {
  Inbox homes[3];
  for (std::uint64_t i = 0; i < 300; ++i) {
    auto job = job_of({sample(i)}, homes[i % 3]);
    job->context = &homes[i % 3];
    ASSERT_TRUE(store().submit(job));
    ASSERT_FALSE(job);
  }
  store().close();
  for (auto& home : homes) {
    const auto jobs = home.wait_for(100);
    EXPECT_EQ(jobs.size(), 100U);
    EXPECT_LE(home.calls(), 100U);
    for (const auto& job : jobs) {
      EXPECT_EQ(job->context, &home);
      EXPECT_FALSE(job->error);
    }
  }
}

TEST_P(StoreContract, CloseCommitsWhatWasSubmittedAndThenRefuses) {
  Inbox inbox;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    auto job = job_of({sample(i)}, inbox);
    ASSERT_TRUE(store().submit(job));
  }
  store().close();
  store().close();
  EXPECT_EQ(inbox.wait_for(500).size(), 500U);
  auto late = job_of({sample(501)}, inbox);
  EXPECT_FALSE(store().submit(late));
  EXPECT_TRUE(late);
  EXPECT_FALSE(store().status().writable);
  EXPECT_FALSE(store().record({.type = "config_loaded"}));
  EXPECT_FALSE(store().open_sink("tak"));
  reopen();
  EXPECT_EQ(store().status().detections, 500);
  EXPECT_TRUE(*store().find(sample_id(500)));
}

/// Holds the writer up until it is let go; what no home may do, but here it fills the queue.
class Dam final : public CommitHome {
 public:
  void committed(std::vector<std::unique_ptr<CommitJob>>) noexcept override {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool open_ = false;
};

TEST_P(StoreContract, AFullQueueSaysNoAndLeavesTheJob) {
  Dam dam;
  Inbox inbox;
  auto first = job_of({sample(0)}, dam);
  ASSERT_TRUE(store().submit(first));
  std::uint64_t taken = 0;
  while (taken < 100'000) {
    auto job = job_of({}, inbox);
    if (!store().submit(job)) {
      ASSERT_TRUE(job);
      break;
    }
    ++taken;
  }
  EXPECT_TRUE(taken < 100'000U || GetParam().overflows);
  EXPECT_GT(taken, 1'000U);
  EXPECT_GT(store().status().waiting, 0U);
  dam.open();
  std::size_t back = 0;
  while (back < taken) back += inbox.wait_for(1).size();
  EXPECT_FALSE(commit(store(), {sample(1)})->error);
}

TEST_P(StoreContract, TellsWhenSomethingIsDue) {
  std::atomic<int> calls = 0;
  store().on_due([&] { ++calls; });
  const auto settled = [&] {
    // The listener is called after the homes: one more trip through the writer, and it was.
    EXPECT_TRUE(store().record({.type = "config_loaded"}));
    EXPECT_TRUE(store().record({.type = "config_loaded"}));
    return calls.load();
  };
  put(1, Disposition::kHold);
  put(2, Disposition::kDiscard);
  expect_told(settled(), 0);
  put(3, 3);
  expect_told(settled(), 1);
  commit(store(), {sample(3)});  // a repeat makes nothing due
  expect_told(settled(), 1);
  store().on_due(nullptr);
  const auto last = calls.load();
  put(4, 4);
  EXPECT_EQ(settled(), last);
}

TEST_P(StoreContract, TheTimelineNamesTheCallersTrace) {
  auto item = sample(1);
  item.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  ASSERT_FALSE(commit(store(), {item})->error);
  const auto events = store().timeline(sample_id(1));
  ASSERT_TRUE(events);
  EXPECT_EQ((*events)[0].detail_json, R"({"request_id":"request-1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"})");
}

TEST_P(StoreContract, TheTimelineShowsEachStepOfAnAcceptance) {
  auto item = sample(1);
  item.request_id = "quote\"d";
  ASSERT_FALSE(commit(store(), {sample(7), item})->error);
  const auto events = store().timeline(sample_id(1));
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 5U);
  EXPECT_THAT(timeline_types(sample_id(1)), ElementsAre("detection_received", "detection_validated",
                                                        "geolocation_calculated", "cot_generated", "detection_queued"));
  EXPECT_EQ((*events)[0].at, item.times.received);
  EXPECT_EQ((*events)[1].at, item.times.validated);
  EXPECT_EQ((*events)[2].at, item.times.located);
  EXPECT_EQ((*events)[3].at, item.times.cot_made);
  EXPECT_EQ((*events)[0].detail_json, R"({"request_id":"quote\"d"})");
  EXPECT_EQ((*events)[4].detail_json, R"({"state":"queued"})");
  for (const auto& event : *events) {
    EXPECT_EQ(event.severity, "INFO");
    EXPECT_EQ(event.actor, "detector");
    EXPECT_EQ(event.record, 2);
    EXPECT_FALSE(event.chain.empty());
  }
  put(2, Disposition::kHold);
  EXPECT_EQ(store().timeline(sample_id(2))->back().detail_json, R"({"state":"held"})");
  EXPECT_TRUE(store().timeline(sample_id(9))->empty());
}

TEST_P(StoreContract, RecordsOfTheirOwnAreChainedAndShownWithTheirSubject) {
  put(1, 1);
  ASSERT_TRUE(store().record(
      {.type = "auth_failure", .severity = "WARNING", .actor = "192.0.2.1", .detail_json = R"({"why":"expired"})"}));
  ASSERT_TRUE(store().record(
      {.type = "key_created", .actor = "ann", .subject = sample_id(1), .detail_json = R"({"verified":true})"}));
  EXPECT_EQ(timeline_types(sample_id(1)).back(), "key_created");
  const auto events = store().timeline(sample_id(1));
  EXPECT_EQ(events->back().actor, "ann");
  EXPECT_EQ(events->back().detail_json, R"({"verified":true})");
  EXPECT_EQ(events->back().record, 3);
  EXPECT_EQ(events->size(), 6U);
  expect_valid_audit();
  EXPECT_EQ(store().verify_audit()->records, 3);
}

TEST_P(StoreContract, TheAuditChainGoesOnAfterARestart) {
  put(1, 3);
  const auto before = store().verify_audit();
  ASSERT_TRUE(before && before->chains.size() == 1);
  EXPECT_EQ(before->chains[0].head_sha256.size(), 64U);
  reopen();
  EXPECT_EQ(store().verify_audit()->chains.at(0).head_sha256, before->chains[0].head_sha256);
  put(4, 4);
  const auto after = store().verify_audit();
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->valid);
  EXPECT_EQ(after->records, 4);
  EXPECT_EQ(after->chains.at(0).records, 4);
  EXPECT_NE(after->chains[0].head_sha256, before->chains[0].head_sha256);
  EXPECT_EQ(store().timeline(sample_id(4))->at(0).record, 4);
}

TEST_P(StoreContract, AnEmptyStoreIsValidAndWritable) {
  const auto status = store().status();
  EXPECT_TRUE(status.writable) << status.reason;
  EXPECT_EQ(status.detections, 0);
  EXPECT_EQ(status.waiting, 0U);
  expect_valid_audit();
  EXPECT_TRUE(store().list({}, std::nullopt, 10)->items.empty());
  EXPECT_TRUE(store().sink_queues()->empty());
  EXPECT_FALSE(store().delivery_status(sample_id(1)));
}

TEST(DeliveryStateNames, ReadBack) {
  for (const auto state :
       {DeliveryState::kQueued, DeliveryState::kHeld, DeliveryState::kDelivered, DeliveryState::kRejected,
        DeliveryState::kDeadLetter, DeliveryState::kDiscarded, DeliveryState::kSpooled})
    EXPECT_EQ(parse_delivery_state(delivery_state_name(state)), state);
  EXPECT_FALSE(parse_delivery_state("lost"));
}

}  // namespace detection::store::testing
