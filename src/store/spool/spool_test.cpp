// What the spool takes, shows and hands over; the ways in which it says no.

#include "store/spool/spool.hpp"

#include "store/spool/gate.hpp"
#include "store/spool/spool_test_support.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::store::spool {
namespace {

TEST_F(SpoolTest, WhileAllIsWellJobsGoStraightToThePrimary) {
  open();
  int mine = 0;
  Inbox inbox;
  auto job = job_of({sample(1), sample(2)}, inbox);
  job->context = &mine;
  ASSERT_TRUE(store().submit(job));
  const auto back = inbox.wait_for(1);
  ASSERT_EQ(back.size(), 1U);
  EXPECT_FALSE(back[0]->spooled);
  EXPECT_EQ(back[0]->context, &mine);
  EXPECT_EQ(back[0]->home, &inbox);
  ASSERT_EQ(back[0]->results.size(), 2U);
  EXPECT_EQ(back[0]->results[1].sequence, 2);
  EXPECT_EQ(status().items, 0);
  EXPECT_EQ(status().capacity_items, options_.items_most);
}

TEST_F(SpoolTest, ManyHomesAtOnceGetTheirOwnJobsBack) {
  open();
  std::vector<std::unique_ptr<Inbox>> inboxes;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    inboxes.push_back(std::make_unique<Inbox>());
    auto job = job_of({sample(i)}, *inboxes.back());
    ASSERT_TRUE(store().submit(job));
  }
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    const auto back = inboxes[i]->wait_for(1);
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0]->items[0].located.id, sample_id(i));
    EXPECT_EQ(back[0]->home, inboxes[i].get());
  }
}

TEST_F(SpoolTest, WhatThePrimaryGivesBackIsSpooledAndHandedOverInOrder) {
  open();
  EXPECT_FALSE(put(sample(0))->spooled);
  database_->set(Weather::kAway);
  put_spooled(1, 300);
  EXPECT_EQ(status().items, 300);
  EXPECT_GT(status().bytes, 300 * 300);
  EXPECT_EQ(status().oldest, sample(1).located.received);
  EXPECT_TRUE(status().writable);
  EXPECT_FALSE(store().status().writable) << "the primary's";
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(0, 300));
  EXPECT_EQ(status().bytes, 0);
  EXPECT_FALSE(status().oldest);
  EXPECT_TRUE(becomes_direct());
}

TEST_F(SpoolTest, APrimaryThatTakesNoJobsIsNoReasonToRefuse) {
  open_in(Weather::kStuck);
  put_spooled(1, 20);
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(1, 20));
}

TEST_F(SpoolTest, ABatchIsSpooledAsAWhole) {
  open_in(Weather::kAway);
  std::vector<Acceptance> items;
  for (std::uint64_t i = 1; i <= 2'000; ++i) items.push_back(sample(i));
  items.push_back(sample(7));
  auto other = sample(8);
  other.content_sha256[5] = 1;
  items.push_back(other);
  const auto job = commit(store(), std::move(items));
  ASSERT_FALSE(job->error) << job->error->detail;
  EXPECT_TRUE(job->spooled);
  ASSERT_EQ(job->results.size(), 2'002U);
  EXPECT_EQ(job->results[1'999].outcome, CommitOutcome::kCreated);
  EXPECT_EQ(job->results[2'000].outcome, CommitOutcome::kRepeated);
  EXPECT_EQ(job->results[2'001].outcome, CommitOutcome::kConflict);
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(1, 2'000));
}

TEST_F(SpoolTest, AnIdThatIsInTheSpoolIsRepeatedOrInConflict) {
  open_in(Weather::kAway);
  put_spooled(1, 3);
  auto again = put(sample(2));
  ASSERT_FALSE(again->error);
  EXPECT_TRUE(again->spooled);
  EXPECT_EQ(again->results[0].outcome, CommitOutcome::kRepeated);
  ASSERT_TRUE(again->results[0].first);
  EXPECT_EQ(again->results[0].first->located.cot_uid, sample(2).located.cot_uid);
  EXPECT_EQ(again->results[0].first->request_json, sample(2).request_json);
  auto other = sample(2);
  other.content_sha256[5] = 1;
  EXPECT_EQ(put(other)->results[0].outcome, CommitOutcome::kConflict);
  EXPECT_EQ(status().items, 3);
}

TEST_F(SpoolTest, WhatIsSpooledIsFoundWhileThePrimaryIsAway) {
  open();
  ASSERT_TRUE(store().open_sink("tak"));
  database_->set(Weather::kAway);
  put_spooled(1, 2);
  auto exercise = sample(3);
  exercise.located.exercise = true;
  exercise.disposition = Disposition::kDiscard;
  ASSERT_TRUE(put(exercise)->spooled);

  const auto found = store().find(sample_id(2));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->sequence, 0);
  EXPECT_EQ((*found)->request_json, sample(2).request_json);
  EXPECT_EQ((*found)->located.fix.position.lat_deg, 48.25);
  const auto delivery = store().delivery_status(sample_id(2));
  ASSERT_TRUE(delivery);
  EXPECT_EQ(delivery->state, DeliveryState::kSpooled);
  ASSERT_EQ(delivery->sinks.size(), 1U);
  EXPECT_EQ(delivery->sinks[0], (std::pair<std::string, DeliveryState>("tak", DeliveryState::kSpooled)));
  EXPECT_TRUE(store().delivery_status(sample_id(3))->sinks.empty()) << "an exercise goes to no sink";

  const auto events = store().timeline(sample_id(2));
  ASSERT_TRUE(events);
  std::vector<std::string> types;
  for (const auto& event : *events) {
    types.push_back(event.type);
    EXPECT_EQ(event.chain, "spool");
    EXPECT_EQ(event.actor, "detector");
  }
  EXPECT_EQ(types, (std::vector<std::string>{"detection_received", "detection_validated", "geolocation_calculated",
                                             "cot_generated", "detection_queued"}));
  EXPECT_EQ(events->front().at, sample(2).times.received);
  EXPECT_EQ(events->front().detail_json, R"({"request_id":"request-2"})");
  EXPECT_EQ(events->back().detail_json, R"({"state":"spooled"})");

  const auto decided = store().verify({.id = sample_id(2), .decision = {true, "", "operator", {}}});
  ASSERT_FALSE(decided);
  EXPECT_EQ(decided.error().code, ErrorCode::kStoreUnavailable);
  const auto missing = store().find(sample_id(99));
  ASSERT_FALSE(missing) << "nobody can know";
  EXPECT_EQ(missing.error().code, ErrorCode::kStoreUnavailable);
}

TEST_F(SpoolTest, WhatIsSpooledIsListedByItsState) {
  open_in(Weather::kAway);
  put_spooled(1, 10);
  auto other = sample(11);
  other.located.object_class = "person";
  other.located.fix.position = {10, 179.5, 0};
  ASSERT_TRUE(put(other)->spooled);
  ListFilter filter{.state = DeliveryState::kSpooled};
  std::vector<Uuid> seen;
  std::optional<std::int64_t> before;
  do {
    const auto page = store().list(filter, before, 4);
    ASSERT_TRUE(page) << page.error().detail;
    for (const auto& [stored, delivery] : page->items) {
      seen.push_back(stored.located.id);
      EXPECT_EQ(delivery.state, DeliveryState::kSpooled);
    }
    before = page->next_before;
  } while (before);
  auto expected = sample_ids(1, 11);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(seen, expected);

  filter.object_class = "person";
  ASSERT_EQ(store().list(filter, {}, 10)->items.size(), 1U);
  filter.bbox = BoundingBox{170, 0, -170, 20};
  EXPECT_EQ(store().list(filter, {}, 10)->items.size(), 1U);
  filter.bbox = BoundingBox{0, 0, 20, 20};
  EXPECT_TRUE(store().list(filter, {}, 10)->items.empty());
  EXPECT_FALSE(store().list({}, {}, 10)) << "the primary's list, and that is away";
}

TEST_F(SpoolTest, ACommitInDoubtIsStoredOnce) {
  open_in(Weather::kInDoubt);
  const auto job = put(sample(1));
  ASSERT_FALSE(job->error);
  EXPECT_TRUE(job->spooled);
  EXPECT_EQ(database_->stored().size(), 1U);
  // Nor do the answers that the replay loses.
  ASSERT_TRUE(eventually([this] {
    const std::lock_guard lock(database_->mutex);
    return database_->job_sizes.size() >= 2;
  }));
  put_spooled(2, 5);
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(1, 5));
  EXPECT_EQ(status().conflicts, 0);
}

TEST_F(SpoolTest, WhatContradictsThePrimaryIsKeptAuditedAndCounted) {
  open();
  auto first = sample(5);
  first.content_sha256[9] = 9;
  EXPECT_FALSE(put(first)->spooled);
  ASSERT_FALSE(put(sample(6))->spooled);
  database_->set(Weather::kAway);
  put_spooled(4, 7);  // 5: other content; 6: the same
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(status().conflicts, 1);
  EXPECT_EQ(database_->stored().size(), 4U);
  ASSERT_TRUE(eventually([this] { return !database_->audited().empty(); }));
  const auto audited = database_->audited();
  ASSERT_EQ(audited.size(), 1U);
  EXPECT_EQ(audited[0].type, "error_occurred");
  EXPECT_EQ(audited[0].severity, "ERROR");
  EXPECT_EQ(audited[0].subject, sample_id(5));
  EXPECT_NE(audited[0].detail_json.find("spool_conflict"), std::string::npos);
  open();
  EXPECT_EQ(status().conflicts, 1) << "kept";
  EXPECT_TRUE(becomes_direct());
  EXPECT_EQ(database_->audited().size(), 1U) << "once";
}

TEST_F(SpoolTest, OneThatThePrimaryRefusesForGoodHoldsUpNoOther) {
  open();
  database_->refuse([](const CommitJob& job) -> std::optional<Error> {
    for (const auto& item : job.items)
      if (item.located.id == sample_id(50)) return Error{ErrorCode::kInternal, "a number of it is not finite"};
    return std::nullopt;
  });
  const auto direct = put(sample(50));
  ASSERT_TRUE(direct->error);
  EXPECT_EQ(direct->error->code, ErrorCode::kInternal) << "no matter of the spool";
  database_->set(Weather::kAway);
  put_spooled(1, 100);
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  auto expected = sample_ids(1, 100);
  expected.erase(expected.begin() + 49);
  EXPECT_EQ(stored_ids(), expected);
  EXPECT_EQ(status().conflicts, 1);
  ASSERT_TRUE(eventually([this] { return !database_->audited().empty(); }));
  EXPECT_NE(database_->audited()[0].detail_json.find("not finite"), std::string::npos);
}

TEST_F(SpoolTest, AFullQueueOfASinkIsToldAndAFullDiskIsSpooled) {
  open();
  database_->refuse([](const CommitJob&) -> std::optional<Error> {
    return Error{ErrorCode::kCapacityExceeded, "the queue of sink tak is full: 3 of at most 3 events wait"};
  });
  const auto refused = put(sample(1));
  ASSERT_TRUE(refused->error);
  EXPECT_EQ(refused->error->code, ErrorCode::kCapacityExceeded);
  EXPECT_FALSE(refused->spooled);
  database_->refuse([](const CommitJob&) -> std::optional<Error> {
    return Error{ErrorCode::kCapacityExceeded, "no room is left on the disk of the store"};
  });
  put_spooled(2, 5);
  database_->refuse({});
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(2, 5));
}

/// The words that belongs_in_spool() goes by are the engine's.
TEST_F(SpoolTest, TheEngineWordsAFullQueueAsTheSpoolReadsIt) {
  auto engine = sqlite::open({.directory = directory_.path() / "engine"});
  ASSERT_TRUE(engine) << engine.error().detail;
  ASSERT_TRUE((*engine)->open_sink("tak", {.items = 1}));
  ASSERT_FALSE(commit(**engine, {sample(1)})->error);
  const auto refused = commit(**engine, {sample(2)});
  ASSERT_TRUE(refused->error);
  ASSERT_EQ(refused->error->code, ErrorCode::kCapacityExceeded);
  EXPECT_FALSE(belongs_in_spool(*refused->error)) << refused->error->detail;
}

TEST_F(SpoolTest, TheReplayWaitsForRoomInASinksQueue) {
  open_in(Weather::kAway);
  put_spooled(1, 100);
  auto room = std::make_shared<std::size_t>(10);
  database_->refuse([room](const CommitJob& job) -> std::optional<Error> {
    if (job.items.size() > *room) return Error{ErrorCode::kCapacityExceeded, "the queue of sink tak is full: ..."};
    *room -= job.items.size();
    return std::nullopt;
  });
  database_->set(Weather::kFine);
  ASSERT_TRUE(eventually([this] { return database_->stored().size() == 10; }));
  // What it has is out of the spool a moment later.
  EXPECT_TRUE(eventually([this] { return status().items == 90; }));
  EXPECT_TRUE(put(sample(101))->spooled) << "behind those";
  {
    const std::lock_guard lock(database_->mutex);
    *room = 1'000;
  }
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(1, 101));
}

TEST_F(SpoolTest, AFullSpoolRefusesAndStoresNothing) {
  options_.items_most = 10;
  open_in(Weather::kAway);
  put_spooled(1, 8);
  const auto batch = commit(store(), {sample(9), sample(10), sample(11)});
  ASSERT_TRUE(batch->error);
  EXPECT_EQ(batch->error->code, ErrorCode::kCapacityExceeded);
  EXPECT_TRUE(batch->error->detail.starts_with("the spool is full: 8 of at most 10 detections"))
      << batch->error->detail;
  EXPECT_FALSE(batch->spooled);
  EXPECT_EQ(status().items, 8) << "all of a job or nothing";
  put_spooled(9, 10);
  const auto one = put(sample(11));
  ASSERT_TRUE(one->error);
  EXPECT_EQ(one->error->code, ErrorCode::kCapacityExceeded);
  const auto again = put(sample(3));
  ASSERT_FALSE(again->error) << "a repeated one needs no room";
  EXPECT_EQ(again->results[0].outcome, CommitOutcome::kRepeated);
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  EXPECT_EQ(stored_ids(), sample_ids(1, 10));
}

TEST_F(SpoolTest, ItsBytesAreALimitToo) {
  options_.bytes_most = 20'000;
  open_in(Weather::kAway);
  put_spooled(1, 1);
  auto large = sample(2);
  large.request_json.assign(30'000, 'x');
  const auto refused = put(large);
  ASSERT_TRUE(refused->error);
  EXPECT_EQ(refused->error->code, ErrorCode::kCapacityExceeded);
  put_spooled(3, 3);
}

TEST_F(SpoolTest, MetricsSayHowMuchWaits) {
  telemetry::Metrics metrics;
  options_.metrics = &metrics;
  options_.clock = [] noexcept { return UtcMicros{testing::kStart + 61'001'100}; };
  EXPECT_NE(metrics.expose().find("# TYPE spool_size gauge"), std::string::npos);
  open_in(Weather::kAway);
  put_spooled(1, 3);
  auto text = metrics.expose();
  EXPECT_NE(text.find("\nspool_size 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nspool_capacity_items 500000\n"), std::string::npos);
  EXPECT_NE(text.find("\nspool_oldest_item_age_seconds 61\n"), std::string::npos) << text;
  database_->set(Weather::kFine);
  ASSERT_TRUE(becomes_empty());
  store_.reset();
  text = metrics.expose();
  EXPECT_NE(text.find("\nspool_size 0\n"), std::string::npos);
  EXPECT_NE(text.find("\nspool_oldest_item_age_seconds 0\n"), std::string::npos);
}

}  // namespace
}  // namespace detection::store::spool
