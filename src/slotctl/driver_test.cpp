// The driver on a made-up world: whole releases and rollbacks, killed at every call, two at once, everything away in
// turn.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "slotctl/test_world.hpp"

namespace detection::slotctl::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string words(const std::vector<Outcome>& outcomes) {
  std::string text;
  for (const auto& one : outcomes)
    text += std::string(step_name(one.step)) + (one.done ? " done: " : " FAILED: ") + one.text + "\n";
  return text;
}

void release(World& world, const std::string& tag) {
  Process process(world);
  const auto outcomes = process.driver.run_all(kRelease, request_for(tag));
  ASSERT_EQ(outcomes.size(), kRelease.size()) << words(outcomes);
  ASSERT_TRUE(outcomes.back().done) << words(outcomes);
}

Outcome run(World& world, Step step, const std::string& tag = {}, DriverOptions options = {}) {
  return Process(world, options).driver.run(step, request_for(tag));
}

/// What must be the same, whatever happened on the way.
std::string state_of(World& world) {
  std::string text = format_slots(world.slots(), "prod");
  for (const auto slot : {Slot::kBlue, Slot::kGreen}) text += std::to_string(world.of(slot).ready) + " ready, ";
  return text + std::string(slot_name(world.serving)) + " serves, " + std::string(slot_name(world.fence)) +
         " delivers, synced " + (world.synced == world.commits.size() - 1 ? "all" : "not all");
}

TEST(Driver, AReleaseGoesFromCommitToTheOldSlotAtZeroAndTheNextOneBack) {
  World world;
  release(world, "v2");
  EXPECT_EQ(world.slots().active, Slot::kGreen);
  EXPECT_EQ(world.serving, Slot::kGreen);
  EXPECT_EQ(world.fence, Slot::kGreen);
  EXPECT_EQ(world.of(Slot::kBlue).wanted, 0);
  EXPECT_FALSE(world.slots().green.min_replicas);
  EXPECT_EQ(world.commits.size(), 4U) << "deploy, switch, finalize";
  release(world, "v3");
  EXPECT_EQ(world.slots().active, Slot::kBlue);
  EXPECT_EQ(world.slots().blue.image.tag, "v3");
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, TheSameReleaseAgainChangesNothing) {
  World world;
  release(world, "v2");
  const auto commits = world.commits.size();
  release(world, "v2");
  EXPECT_EQ(world.commits.size(), commits);
}

TEST(Driver, TheNewSlotIsAsLargeAsTheLiveOne) {
  World world;
  world.live_load = 8;
  world.of(Slot::kBlue).wanted = world.of(Slot::kBlue).ready = 8;
  const auto deployed = run(world, Step::kDeploy, "v2");
  ASSERT_TRUE(deployed.done) << deployed.text;
  EXPECT_EQ(world.slots().green.min_replicas, 8);
  EXPECT_EQ(world.of(Slot::kGreen).ready, 8);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  EXPECT_EQ(world.slots().blue.min_replicas, 8) << "a rollback needs it at its size";
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, ALiveSlotThatGrewSinceTheDeployGetsAnEqual) {
  World world;
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  world.live_load = 6;
  world.of(Slot::kBlue).wanted = world.of(Slot::kBlue).ready = 6;
  const auto switched = run(world, Step::kSwitch);
  ASSERT_TRUE(switched.done) << switched.text;
  EXPECT_EQ(switched.commits.size(), 2U);
  EXPECT_EQ(world.of(Slot::kGreen).ready, 6);
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, AnImageThatDoesNotRunGetsNoTrafficAndIsGivenUp) {
  World world;
  world.bad_images = {"v2"};
  const auto deployed = run(world, Step::kDeploy, "v2");
  EXPECT_FALSE(deployed.done);
  EXPECT_THAT(deployed.text, HasSubstr("ImagePullBackOff"));
  EXPECT_THAT(deployed.text, HasSubstr("slotctl rollback"));
  EXPECT_LT(deployed.seconds, 120);
  EXPECT_EQ(world.serving, Slot::kBlue);
  const auto back = run(world, Step::kRollback);
  EXPECT_TRUE(back.done) << back.text;
  EXPECT_EQ(world.of(Slot::kGreen).wanted, 0);
  EXPECT_EQ(world.slots(), at_rest()) << "the slot holds what it held before";
  EXPECT_THAT(world.wrong, IsEmpty());
  // And again: a second run finds it done.
  const auto commits = world.commits.size();
  EXPECT_TRUE(run(world, Step::kRollback).done);
  EXPECT_EQ(world.commits.size(), commits);
}

TEST(Driver, ASmokeThatFailsStopsTheSwitch) {
  World world;
  world.bad_smoke = {"v2"};
  Process process(world);
  const auto outcomes = process.driver.run_all(kRelease, request_for("v2"));
  ASSERT_EQ(outcomes.size(), 2U) << words(outcomes);
  EXPECT_FALSE(outcomes.back().done);
  const auto switched = run(world, Step::kSwitch);
  EXPECT_FALSE(switched.done);
  EXPECT_THAT(switched.text, HasSubstr("No traffic has moved"));
  EXPECT_EQ(world.serving, Slot::kBlue);
  EXPECT_EQ(world.slots().active, Slot::kBlue);
}

TEST(Driver, BadFiguresRollBackWithinAMinute) {
  World world;
  world.bad_figures = {"v2"};
  Process process(world);
  const auto outcomes = process.driver.run_all(kRelease, request_for("v2"));
  ASSERT_EQ(outcomes.size(), 4U) << words(outcomes);
  EXPECT_FALSE(outcomes.back().done);
  EXPECT_THAT(outcomes.back().text, HasSubstr("rolled back, since errors 10.00 % > 1.00 %"));
  EXPECT_LT(outcomes.back().seconds, 60);
  EXPECT_EQ(world.serving, Slot::kBlue);
  EXPECT_EQ(world.fence, Slot::kBlue);
  EXPECT_THAT(world.wrong, IsEmpty());
  // The same release is refused; the bad slot is taken down without a watch.
  EXPECT_THAT(run(world, Step::kDeploy, "v2").text, HasSubstr("rolled back from"));
  EXPECT_THAT(run(world, Step::kSwitch).text, HasSubstr("rolled back from"));
  EXPECT_TRUE(run(world, Step::kFinalize).done);
  EXPECT_EQ(world.of(Slot::kGreen).wanted, 0);
  const auto again = run(world, Step::kRollback);
  EXPECT_FALSE(again.done) << "it must not go to the bad version";
  EXPECT_EQ(world.slots().active, Slot::kBlue);
}

TEST(Driver, AWatchMayBeToldNotToRollBack) {
  World world;
  world.bad_figures = {"v2"};
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  EXPECT_FALSE(run(world, Step::kWatch, "", {.roll_back = false}).done);
  EXPECT_EQ(world.serving, Slot::kGreen);
}

TEST(Driver, BackFromAFinalizedReleaseIsTwoCommitsAndNeverToASmallerSlot) {
  World world;
  release(world, "v2");
  world.live_load = 5;
  world.of(Slot::kGreen).wanted = world.of(Slot::kGreen).ready = 5;
  const auto commits = world.commits.size();
  const auto back = run(world, Step::kRollback);
  ASSERT_TRUE(back.done) << back.text;
  EXPECT_EQ(world.commits.size(), commits + 2);
  EXPECT_EQ(world.serving, Slot::kBlue);
  EXPECT_EQ(world.slots().blue.image.tag, "v1");
  EXPECT_GE(world.of(Slot::kBlue).ready, 5);
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, FinalizeWaitsForTheSpoolOfTheOldSlot) {
  World world;
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  ASSERT_TRUE(run(world, Step::kWatch).done);
  world.database_away = true;
  world.of(Slot::kBlue).spool = 40;
  const auto refused = run(world, Step::kFinalize, "", {.most_s = 30});
  EXPECT_FALSE(refused.done);
  EXPECT_THAT(refused.text, HasSubstr("detections in its spools"));
  EXPECT_TRUE(world.slots().blue.running);
  world.of(Slot::kBlue).spool = 0;
  EXPECT_THAT(run(world, Step::kFinalize, "", {.most_s = 30}).text, HasSubstr("cannot reach the database"));
  world.database_away = false;
  EXPECT_TRUE(run(world, Step::kFinalize).done);
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, FinalizeRefusesBeforeTheWatchHasPassed) {
  World world;
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  EXPECT_THAT(run(world, Step::kFinalize).text, HasSubstr("never switched to"));
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  const double switched_s = world.now_s;
  ASSERT_TRUE(run(world, Step::kFinalize).done) << "it waits for the rest of the watch itself";
  EXPECT_GE(world.now_s - switched_s, 290);
}

TEST(Driver, AnOlderSyncThatHangsIsEnded) {
  World world;
  world.sync_takes_s = 1e9;
  auto wide = world.slots();
  wide.blue.config["read_cache"] = "2048";
  world.commit(wide, "somebody's change");
  world.refresh = true;
  world.pass(5);
  ASSERT_EQ(world.phase, "Running");
  world.commit(world.slots(), "another one");
  world.sync_takes_s = 3;
  const auto deployed = run(world, Step::kDeploy, "v2");
  EXPECT_TRUE(deployed.done) << deployed.text;
}

TEST(Driver, ASyncThatFailedBeforeIsStartedOnceMore) {
  World world;
  world.hook_fails = 1;
  const auto first = run(world, Step::kDeploy, "v2");
  EXPECT_FALSE(first.done);
  EXPECT_THAT(first.text, HasSubstr("Job fence failed"));
  world.pass(10);
  const auto second = run(world, Step::kDeploy, "v2");
  EXPECT_TRUE(second.done) << second.text;
  EXPECT_EQ(world.commits.size(), 2U) << "one commit";
}

TEST(Driver, ACommitThatArgoCdTookWithoutItsHooksIsSyncedAgain) {
  World world;
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  ASSERT_EQ(world.fence, Slot::kGreen);
  world.hooks_skipped = world.conflicts = 1;
  const auto back = run(world, Step::kRollback);
  EXPECT_TRUE(back.done) << back.text;
  EXPECT_EQ(world.serving, Slot::kBlue);
  EXPECT_EQ(world.fence, Slot::kBlue) << "both slots would deliver, or none";
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, WhatIsAwayStopsItWithAMessageAndNothingChanges) {
  struct Case {
    const char* name;
    bool World::* away;
    const char* sign;
  };
  for (const auto& [name, away, sign] :
       {Case{"git", &World::git_away, "Git is away"}, Case{"kubernetes", &World::kubernetes_away, "Kubernetes API"},
        Case{"argocd", &World::argocd_away, "has yet to look"}}) {
    SCOPED_TRACE(name);
    World world;
    world.*away = true;
    const auto stopped = run(world, Step::kDeploy, "v2", {.most_s = 120});
    EXPECT_FALSE(stopped.done);
    EXPECT_THAT(stopped.text, HasSubstr(sign));
    EXPECT_LE(stopped.seconds, 130);
    EXPECT_EQ(world.serving, Slot::kBlue);
    world.*away = false;
    const auto goes_on = run(world, Step::kDeploy, "v2");
    EXPECT_TRUE(goes_on.done) << goes_on.text;
    EXPECT_EQ(world.commits.size(), 2U);
  }
}

TEST(Driver, WithoutPrometheusThereIsNoVerdict) {
  World world;
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  world.prometheus_away = true;
  const auto watched = run(world, Step::kWatch);
  EXPECT_FALSE(watched.done);
  EXPECT_THAT(watched.text, HasSubstr("no verdict"));
  EXPECT_LT(watched.seconds, 90);
  EXPECT_EQ(world.serving, Slot::kGreen) << "blind is not bad";
  world.prometheus_away = false;
  EXPECT_TRUE(run(world, Step::kWatch).done);
}

TEST(Driver, ADryRunShowsTheCommitAndMakesNone) {
  World world;
  const auto shown = run(world, Step::kDeploy, "v2", {.dry_run = true});
  EXPECT_TRUE(shown.done);
  EXPECT_THAT(shown.preview, HasSubstr("tag: \"v2\""));
  EXPECT_EQ(world.commits.size(), 1U);
}

// ---- killed at every call, before it had its effect and after it

struct Scenario {
  const char* name;
  std::function<void(World&)> prepare;
  std::function<void(World&)> go;  ///< the command that is killed, and run again
};

Scenario whole_release() {
  return {"release", [](World&) {}, [](World& w) { (void)Process(w).driver.run_all(kRelease, request_for("v2")); }};
}
Scenario back_from_standby() {
  return {"rollback of a switch",
          [](World& w) {
            ASSERT_TRUE(run(w, Step::kDeploy, "v2").done);
            ASSERT_TRUE(run(w, Step::kSwitch).done);
          },
          [](World& w) { (void)run(w, Step::kRollback); }};
}
Scenario back_from_finalized() {
  return {"rollback of a finalized release", [](World& w) { release(w, "v2"); },
          [](World& w) { (void)run(w, Step::kRollback); }};
}
Scenario given_up() {
  return {"a bad image, given up",
          [](World& w) {
            w.bad_images = {"v2"};
            (void)run(w, Step::kDeploy, "v2");
          },
          [](World& w) { (void)run(w, Step::kRollback); }};
}
Scenario watched_and_bad() {
  return {"a watch that rolls back",
          [](World& w) {
            w.bad_figures = {"v2"};
            ASSERT_TRUE(run(w, Step::kDeploy, "v2").done);
            ASSERT_TRUE(run(w, Step::kSwitch).done);
          },
          [](World& w) { (void)run(w, Step::kWatch); }};
}
Scenario not_autoscaled() {
  return {"release without an autoscaler",
          [](World& w) {
            w.autoscaled = false;
            w.live_load = 1;
          },
          [](World& w) { (void)Process(w).driver.run_all(kRelease, request_for("v2")); }};
}

class KilledAnywhere : public ::testing::TestWithParam<int> {
 protected:
  static Scenario scenario() {
    static const std::array all{whole_release, back_from_standby, back_from_finalized,
                                given_up,      watched_and_bad,   not_autoscaled};
    return all[static_cast<std::size_t>(GetParam())]();
  }
};

TEST_P(KilledAnywhere, AndBegunAgainEndsTheSame) {
  const auto scene = scenario();
  World whole;
  scene.prepare(whole);
  const int before = whole.calls;
  scene.go(whole);
  const int calls = whole.calls - before;
  whole.pass(30);
  const auto expected = state_of(whole);
  ASSERT_GT(calls, 5);
  for (const auto when : {KillWhen::kBefore, KillWhen::kAfter})
    for (int at = 0; at < calls; ++at) {
      World world;
      scene.prepare(world);
      world.kill_at = world.calls + at;
      world.kill_when = when;
      bool killed = false;
      try {
        scene.go(world);
      } catch (const Killed&) {
        killed = true;
      }
      ASSERT_TRUE(killed) << "call " << at;
      world.kill_at = -1;
      world.pass(at % 7);  // begun again at once, or later
      scene.go(world);
      world.pass(30);
      ASSERT_EQ(state_of(world), expected)
          << scene.name << ", killed " << (when == KillWhen::kBefore ? "before" : "after") << " call " << at;
      ASSERT_EQ(world.commits.size(), whole.commits.size()) << scene.name << ": no commit twice; call " << at;
      ASSERT_THAT(world.wrong, IsEmpty()) << "call " << at;
    }
}

INSTANTIATE_TEST_SUITE_P(Driver, KilledAnywhere, ::testing::Range(0, 6));

// ---- two at once: what another one does, between the look of the first and its push

TEST(Driver, OfTwoAtOnceTheSecondFindsTheFirstsWork) {
  World world;
  Process first(world);
  // The other one runs to its end at the moment at which the first one pushes.
  first.repository.before_push = [&] { ASSERT_TRUE(run(world, Step::kDeploy, "v2").done); };
  const auto outcome = first.driver.run(Step::kDeploy, request_for("v2"));
  EXPECT_TRUE(outcome.done) << outcome.text;
  EXPECT_THAT(outcome.commits, IsEmpty());
  EXPECT_THAT(first.heard.texts, ::testing::Contains(HasSubstr("came first")));
  EXPECT_EQ(world.commits.size(), 2U);
}

TEST(Driver, OfTwoReleasesAtOnceTheLoserIsRefused) {
  World world;
  Process first(world);
  first.repository.before_push = [&] { ASSERT_TRUE(run(world, Step::kDeploy, "v3").done); };
  const auto outcome = first.driver.run(Step::kDeploy, request_for("v2"));
  EXPECT_FALSE(outcome.done);
  EXPECT_THAT(outcome.text, HasSubstr("a release of green (v3) is under way"));
  EXPECT_EQ(world.slots().green.image.tag, "v3");
}

TEST(Driver, AFinalizeThatLosesAgainstARollbackTakesTheOtherSlot) {
  World world;
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  Process first(world);
  first.repository.before_push = [&] { ASSERT_TRUE(run(world, Step::kRollback).done); };
  const auto outcome = first.driver.run(Step::kFinalize, request_for(""));
  EXPECT_TRUE(outcome.done) << outcome.text;
  EXPECT_EQ(world.serving, Slot::kBlue) << "the rollback stands";
  EXPECT_EQ(world.of(Slot::kGreen).wanted, 0);
  EXPECT_THAT(world.wrong, IsEmpty());
}

TEST(Driver, AWatchThatIsOvertakenRollsNothingBack) {
  World world;
  world.bad_figures = {"v2"};
  ASSERT_TRUE(run(world, Step::kDeploy, "v2").done);
  ASSERT_TRUE(run(world, Step::kSwitch).done);
  Process watching(world);
  watching.repository.before_push = [&] {
    auto slots = world.slots();  // somebody finalizes by hand
    slots.blue.running = false;
    world.commit(slots, "by hand");
  };
  const auto outcome = watching.driver.run(Step::kWatch, request_for(""));
  EXPECT_FALSE(outcome.done);
  EXPECT_THAT(outcome.text, HasSubstr("somebody else has changed the release"));
  EXPECT_EQ(world.slots().active, Slot::kGreen);
}

}  // namespace
}  // namespace detection::slotctl::test
