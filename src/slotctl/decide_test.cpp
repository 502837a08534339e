// Every decision in every state of a grid (some 180,000), held against what must never be decided; and the
// sentences of single refusals.

#include "slotctl/decide.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace detection::slotctl {
namespace {

using ::testing::HasSubstr;

constexpr std::array kSteps{Step::kDeploy, Step::kSmoke, Step::kSwitch, Step::kWatch, Step::kFinalize, Step::kRollback};

enum class Phase : std::uint8_t {
  kAtRest,
  kNeverReleased,
  kWarming,
  kGivenUp,
  kStandby,
  kRolledBack,
  kAfterRollback,
  kWarmingBack
};
constexpr std::array kPhases{Phase::kAtRest,  Phase::kNeverReleased, Phase::kWarming,       Phase::kGivenUp,
                             Phase::kStandby, Phase::kRolledBack,    Phase::kAfterRollback, Phase::kWarmingBack};

/// Green is live, blue is the other one.
GitState git_in(Phase phase) {
  GitState git{"head", "wanted", {}, {}};
  auto& slots = git.slots;
  auto& history = git.history;
  slots.active = Slot::kGreen;
  slots.green = {true, 3, {"", "v2", ""}, {}};
  slots.blue = {false, {}, {"", "v1", ""}, {}};
  history.switched_s = 1000;
  history.other_at_rest = slots.blue;
  switch (phase) {
    case Phase::kAtRest: history.last_step = "finalize"; break;
    case Phase::kNeverReleased:
      history = {};
      slots.blue.image = {};
      break;
    case Phase::kWarming:
      slots.blue = {true, 3, {"", "v3", ""}, {}};
      history.last_step = "deploy";
      break;
    case Phase::kGivenUp: history.last_step = "rollback"; break;
    case Phase::kStandby:
    case Phase::kRolledBack:
      slots.blue.running = true;
      history.standby = true;
      history.other_at_rest.reset();
      history.rolled_back = phase == Phase::kRolledBack;
      history.last_step = history.rolled_back ? "rollback" : "switch";
      break;
    case Phase::kAfterRollback:
      history.rolled_back = true;
      history.last_step = "finalize";
      break;
    case Phase::kWarmingBack:
      slots.blue.running = true;
      slots.blue.min_replicas = 3;
      history.last_step = "rollback-warm";
      break;
  }
  return git;
}

enum class Sync : std::uint8_t {
  kSettled,
  kMissing,
  kPaused,
  kOld,
  kRefreshing,
  kRunningOld,
  kRunning,
  kFailed,
  kFailedBefore,
  kOutOfSync
};
constexpr std::array kSyncs{Sync::kSettled,    Sync::kMissing, Sync::kPaused, Sync::kOld,          Sync::kRefreshing,
                            Sync::kRunningOld, Sync::kRunning, Sync::kFailed, Sync::kFailedBefore, Sync::kOutOfSync};

Application app_in(Sync sync) {
  Application app{true, true, "Synced", "wanted", "Healthy", "Succeeded", "wanted",
                  "",   500,  "1",      false,    {},        true,        true};
  switch (sync) {
    case Sync::kSettled: break;
    case Sync::kMissing: return {};
    case Sync::kPaused: app.auto_sync = false; break;
    case Sync::kOld: app.revision_has_wanted = app.phase_has_wanted = false; break;
    case Sync::kRefreshing:
      app.revision_has_wanted = app.phase_has_wanted = false;
      app.refresh_pending = true;
      break;
    case Sync::kRunningOld:
      app.phase = "Running";
      app.phase_has_wanted = false;
      break;
    case Sync::kRunning: app.phase = "Running"; break;
    case Sync::kFailed:
      app.phase = "Failed";
      app.finished_s = 2500;
      break;
    case Sync::kFailedBefore: app.phase = "Failed"; break;
    case Sync::kOutOfSync: app.sync_status = "OutOfSync"; break;
  }
  return app;
}

SlotPods pods_of(int wanted, int ready, bool rolled_out, bool trouble) {
  SlotPods pods{.exists = true,
                .wanted = wanted,
                .ready = ready,
                .pods = ready,
                .rolled_out = rolled_out,
                .trouble = trouble ? "ImagePullBackOff" : ""};
  for (int i = 0; i < ready; ++i) pods.names.push_back(std::to_string(i));
  pods.present = pods.names;
  if (wanted > 0) pods.autoscaler_least = 3, pods.autoscaler_most = 10;
  return pods;
}

struct Reports {
  const char* name;
  std::function<std::optional<PodReports>(Slot)> of;
};
const std::array kReports{
    Reports{"none", [](Slot) { return std::optional<PodReports>(); }},
    Reports{"empty",
            [](Slot slot) {
              return std::optional(PodReports{slot, {{"p", "", true, true, 0, Slot::kGreen, slot == Slot::kGreen}}});
            }},
    Reports{"spooled",
            [](Slot slot) {
              return std::optional(PodReports{slot, {{"p", "", true, true, 5, Slot::kGreen, slot == Slot::kGreen}}});
            }},
    Reports{"delivering",
            [](Slot slot) {
              return std::optional(PodReports{slot, {{"p", "", true, true, 0, Slot::kBlue, slot == Slot::kBlue}}});
            }},
    Reports{
        "database away",
        [](Slot slot) { return std::optional(PodReports{slot, {{"p", "", true, false, 0, Slot::kGreen, false}}}); }},
    Reports{"silent", [](Slot slot) {
              return std::optional(PodReports{slot, {{"p", "no such container", false, false, 0, {}, false}}});
            }}};

struct Grid {
  long states = 0;
  void each(const std::function<void(Phase, Sync, const char*, const Observed&)>& visit) {
    for (const auto phase : kPhases)
      for (const auto sync : kSyncs)
        for (const auto& reports : kReports)
          for (const auto about : {Slot::kBlue, Slot::kGreen})
            for (const auto& [ready, rolled_out] : {std::pair{3, true}, {2, true}, {3, false}, {0, true}})
              for (const bool trouble : {false, true})
                for (const auto smoke : {0, 1, 2})
                  for (const auto verdict : {-1, 0, 1, 2})
                    for (const double now_s : {1100.0, 2000.0}) {
                      Observed seen;
                      seen.git = git_in(phase);
                      seen.cluster.application = app_in(sync);
                      seen.cluster.serving = Slot::kGreen;
                      seen.cluster.of(Slot::kGreen) = pods_of(3, 3, true, false);
                      const bool runs = seen.git.slots.blue.running;
                      seen.cluster.of(Slot::kBlue) =
                          pods_of(runs ? 3 : 0, runs ? ready : 0, rolled_out, trouble && runs);
                      seen.reports = reports.of(about);
                      if (smoke > 0)
                        seen.smoke = SmokeResult{Slot::kBlue, seen.cluster.of(Slot::kBlue).names, smoke == 1, "7 of 7"};
                      if (verdict >= 0) seen.judgement = Judgement{static_cast<Verdict>(verdict), "figures"};
                      seen.now_s = now_s;
                      seen.began_s = 900;
                      seen.trouble_for_s = trouble ? 100 : 0;
                      ++states;
                      visit(phase, sync, reports.name, seen);
                    }
  }
};

const Commit* commit_of(const Decision& decision) {
  return std::get_if<Commit>(&decision);
}

Request request(const char* tag = nullptr) {
  Request r{.environment = "prod", .application = "detection-api-prod"};
  if (tag != nullptr) r.image = Image{"", tag, ""};
  return r;
}

TEST(Decide, WhatACommitMayChange) {
  Grid grid;
  long commits = 0;
  grid.each([&](Phase, Sync sync, const char* reports, const Observed& seen) {
    for (const auto step : kSteps) {
      const auto decision = decide(step, seen, request(step == Step::kDeploy ? "v9" : nullptr));
      const auto* commit = commit_of(decision);
      if (commit == nullptr) continue;
      ++commits;
      const auto &before = seen.git.slots, &after = commit->slots;
      ASSERT_NE(before, after) << "a commit of " << step_name(step)
                               << " changes nothing: it would be made again and again";
      ASSERT_TRUE(after.of(after.active).running) << step_name(step);
      const auto& blue = seen.cluster.of(Slot::kBlue);
      if (after.active != before.active) {
        // Traffic moves only to a slot that is as large as the live one and all of one version; only forward after a
        // smoke test.
        ASSERT_TRUE(step == Step::kSwitch || step == Step::kRollback);
        ASSERT_GE(blue.ready, seen.cluster.of(Slot::kGreen).ready);
        ASSERT_TRUE(blue.rolled_out);
        ASSERT_EQ(before.blue, after.blue) << "and nothing else of it changes in the same commit";
        ASSERT_FALSE(after.migrate);
        if (step == Step::kSwitch) {
          ASSERT_TRUE(seen.smoke && seen.smoke->passed);
          ASSERT_EQ(sync, Sync::kSettled);
        }
      }
      if (before.blue.running && !after.blue.running && step == Step::kFinalize) {
        ASSERT_TRUE(seen.git.history.standby);
        ASSERT_EQ(sync, Sync::kSettled);
        if (blue.pods > 0) {
          ASSERT_STREQ(reports, "empty");
        }
        if (!seen.git.history.rolled_back) {
          ASSERT_TRUE(seen.judgement && seen.judgement->verdict == Verdict::kGood);
          ASSERT_GE(seen.now_s - 1000, 300);
        }
      }
      if (step == Step::kDeploy) {
        ASSERT_FALSE(before.blue.running) << "a slot that runs is never overwritten";
        ASSERT_EQ(after.green, before.green);
        ASSERT_EQ(after.blue.image.tag, "v9");
        ASSERT_EQ(after.blue.min_replicas, 3);
      }
      ASSERT_TRUE(step != Step::kSmoke && step != Step::kWatch) << "they only look";
    }
  });
  EXPECT_GT(grid.states, 100000);
  EXPECT_GT(commits, 10000);
}

TEST(Decide, DoneMeansThatTheClusterHasIt) {
  Grid grid;
  long done = 0;
  grid.each([&](Phase, Sync sync, const char*, const Observed& seen) {
    for (const auto step : kSteps) {
      if (step == Step::kWatch) continue;  // it looks at figures alone
      for (const char* tag : {"v2", "v3"}) {
        const auto decision = decide(step, seen, request(tag));
        if (!std::holds_alternative<Done>(decision)) continue;
        ++done;
        if (step != Step::kSmoke) {
          ASSERT_EQ(sync, Sync::kSettled) << step_name(step) << ": " << std::get<Done>(decision).text;
        }
      }
    }
  });
  EXPECT_GT(done, 1000);
}

TEST(Decide, EveryRefusalSaysSomethingAndEveryWaitToo) {
  Grid grid;
  grid.each([&](Phase, Sync, const char*, const Observed& seen) {
    for (const auto step : kSteps) {
      const auto decision = decide(step, seen, request("v3"));
      if (const auto* refused = std::get_if<Refuse>(&decision)) {
        ASSERT_GT(refused->text.size(), 30U) << step_name(step);
      }
      if (const auto* wait = std::get_if<Wait>(&decision)) {
        ASSERT_GT(wait->text.size(), 10U) << step_name(step);
      }
    }
  });
}

std::string refusal(Step step, Phase phase, Sync sync = Sync::kSettled, const Request& r = request()) {
  Observed seen;
  seen.git = git_in(phase);
  seen.cluster.application = app_in(sync);
  seen.cluster.serving = Slot::kGreen;
  seen.cluster.of(Slot::kGreen) = pods_of(3, 3, true, false);
  seen.now_s = 2000;
  seen.began_s = 900;
  const auto decision = decide(step, seen, r);
  const auto* refused = std::get_if<Refuse>(&decision);
  return refused != nullptr ? refused->text : "not refused";
}

TEST(Decide, RefusesWithWhatToDo) {
  EXPECT_THAT(refusal(Step::kDeploy, Phase::kAtRest, Sync::kMissing, request("v9")),
              HasSubstr("kubectl apply -f kubernetes/argocd/root-prod.yaml"));
  EXPECT_THAT(refusal(Step::kDeploy, Phase::kAtRest, Sync::kPaused, request("v9")), HasSubstr("auto-sync"));
  EXPECT_THAT(refusal(Step::kDeploy, Phase::kWarming, Sync::kSettled, request("v9")),
              HasSubstr("a release of blue (v3) is under way"));
  EXPECT_THAT(refusal(Step::kDeploy, Phase::kStandby, Sync::kSettled, request("v9")),
              HasSubstr("on standby since the last switch"));
  EXPECT_THAT(refusal(Step::kDeploy, Phase::kStandby, Sync::kSettled, request("v1")),
              HasSubstr("on standby since the last switch"));
  EXPECT_THAT(refusal(Step::kDeploy, Phase::kRolledBack, Sync::kSettled, request("v1")),
              HasSubstr("rolled back from: another version is needed"));
  EXPECT_THAT(refusal(Step::kSmoke, Phase::kAtRest), HasSubstr("blue is idle"));
  EXPECT_THAT(refusal(Step::kSwitch, Phase::kAtRest), HasSubstr("blue is idle"));
  EXPECT_THAT(refusal(Step::kSwitch, Phase::kRolledBack), HasSubstr("--to blue"));
  EXPECT_THAT(refusal(Step::kWatch, Phase::kAtRest), HasSubstr("no switch is to be watched"));
  EXPECT_THAT(refusal(Step::kFinalize, Phase::kWarming), HasSubstr("never switched to"));
  EXPECT_THAT(refusal(Step::kRollback, Phase::kNeverReleased), HasSubstr("never held a version"));
  EXPECT_THAT(refusal(Step::kRollback, Phase::kAfterRollback), HasSubstr("what it was rolled back from"));
}

TEST(Decide, AJobThatHoldsTheSyncIsARefusalOnceItLasts) {
  Observed seen;
  seen.git = git_in(Phase::kWarming);
  seen.cluster.application = app_in(Sync::kRunning);
  seen.cluster.of(Slot::kGreen) = pods_of(3, 3, true, false);
  seen.cluster.hook_trouble = "Job detection-api-migrate: exceeded quota";
  seen.hook_trouble_for_s = kTroubleMost_s - 1;
  const auto first = decide(Step::kDeploy, seen, request("v3"));
  ASSERT_TRUE(std::holds_alternative<Wait>(first));
  EXPECT_THAT(std::get<Wait>(first).text, HasSubstr("exceeded quota")) << "seen at once";
  seen.hook_trouble_for_s = kTroubleMost_s + 1;
  const auto then = decide(Step::kDeploy, seen, request("v3"));
  ASSERT_TRUE(std::holds_alternative<Refuse>(then));
  EXPECT_THAT(std::get<Refuse>(then).text, HasSubstr("does not get on: Job detection-api-migrate: exceeded quota"));
  EXPECT_THAT(std::get<Refuse>(then).text, HasSubstr("slotctl rollback --env prod"));
  seen.cluster.application.phase_has_wanted = false;
  EXPECT_TRUE(std::holds_alternative<EndSync>(decide(Step::kDeploy, seen, request("v3"))))
      << "that of an older commit is ended, whatever holds it";
}

TEST(Decide, ARetryThatHasYetToLookForItsCommitIsNotEnded) {
  Observed seen;
  seen.git = git_in(Phase::kWarming);
  seen.cluster.application = app_in(Sync::kRunningOld);
  seen.cluster.of(Slot::kGreen) = pods_of(3, 3, true, false);
  EXPECT_TRUE(std::holds_alternative<EndSync>(decide(Step::kDeploy, seen, request("v3"))));
  seen.cluster.application.phase_revision.clear();
  EXPECT_TRUE(std::holds_alternative<Wait>(decide(Step::kDeploy, seen, request("v3"))));
}

TEST(Decide, WhyArgoCdCannotLookIsSaid) {
  Observed seen;
  seen.git = git_in(Phase::kWarming);
  seen.cluster.application = app_in(Sync::kRefreshing);
  seen.cluster.application.error = "failed to fetch";
  seen.cluster.of(Slot::kGreen) = pods_of(3, 3, true, false);
  const auto decision = decide(Step::kDeploy, seen, request("v3"));
  ASSERT_TRUE(std::holds_alternative<Wait>(decision));
  EXPECT_THAT(std::get<Wait>(decision).text, HasSubstr("it says: failed to fetch"));
}

/// Found on a cluster: Argo CD moved the Service by itself, and the fence never followed.
TEST(Decide, ACommitThatGotThereWithoutItsHooksIsSyncedAsAWhole) {
  for (const auto sync : {Sync::kSettled, Sync::kOutOfSync}) {
    Observed seen;
    seen.git = git_in(Phase::kStandby);
    seen.cluster.application = app_in(sync);
    seen.cluster.application.hooks_skipped = true;
    seen.cluster.of(Slot::kGreen) = seen.cluster.of(Slot::kBlue) = pods_of(3, 3, true, false);
    const auto first = decide(Step::kSwitch, seen, request());
    ASSERT_TRUE(std::holds_alternative<StartSync>(first));
    EXPECT_THAT(std::get<StartSync>(first).what, HasSubstr("without migration and fence"));
    seen.sync_started = true;
    EXPECT_TRUE(std::holds_alternative<Wait>(decide(Step::kSwitch, seen, request()))) << "not at every look";
    seen.cluster.application.phase = "Running";
    EXPECT_TRUE(std::holds_alternative<Wait>(decide(Step::kSwitch, seen, request())));
  }
}

TEST(Decide, ARollbackIsCommittedAtOnceWhateverArgoCdIsDoing) {
  for (const auto sync :
       {Sync::kSettled, Sync::kRunningOld, Sync::kRunning, Sync::kFailed, Sync::kOutOfSync, Sync::kOld}) {
    Observed seen;
    seen.git = git_in(Phase::kStandby);
    seen.cluster.application = app_in(sync);
    seen.cluster.of(Slot::kGreen) = pods_of(3, 3, true, false);
    seen.cluster.of(Slot::kBlue) = pods_of(3, 3, true, false);
    const auto decision = decide(Step::kRollback, seen, request());
    ASSERT_NE(commit_of(decision), nullptr) << static_cast<int>(sync);
    EXPECT_EQ(commit_of(decision)->slots.active, Slot::kBlue);
  }
}

TEST(Decide, AReleaseTakesRepositoryAndSettingsFromTheLiveSlotUnlessTheyAreSaid) {
  auto slots = git_in(Phase::kAtRest).slots;
  slots.green.image = {"mirror/detection-api", "v2", "sha256:old"};
  slots.green.config = {{"read_cache", "2048"}};
  slots.blue.config = {{"read_cache", "1"}};
  auto r = request("v3");
  const auto release = wanted_release(slots, r);
  EXPECT_EQ(release.image, (Image{"mirror/detection-api", "v3", ""})) << "never the digest of another image";
  EXPECT_EQ(release.config, slots.green.config);
  EXPECT_FALSE(release.min_replicas);
  r.image.reset();
  r.config = std::map<std::string, std::string>{{"red_policy", "send"}};
  EXPECT_EQ(wanted_release(slots, r).image, slots.green.image) << "a release of settings alone";
  EXPECT_EQ(wanted_release(slots, r).config, *r.config);
}

}  // namespace
}  // namespace detection::slotctl
