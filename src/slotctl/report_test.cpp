// status, verify and the table of a run, for people and for programs.

#include "slotctl/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "slotctl/test_world.hpp"

namespace detection::slotctl {
namespace {

using nlohmann::json;
using test::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Observed observed(World& world) {
  test::Process process(world);
  return observe(process.repository, process.cluster).value();
}

VerifyEvidence evidence(World& world) {
  test::Process process(world);
  auto seen = observed(world);
  const auto active = seen.git.slots.active;
  seen.reports = process.cluster.ask_pods(seen.cluster, active);
  seen.smoke = process.cluster.smoke(seen.cluster, active, {});
  const Figures figures{1000, 0.0, 0.02, 0.1, 0.9, 5.0};
  return {seen, figures, figures, process.repository.limits};
}

std::vector<std::string> failed(const VerifyEvidence& e) {
  std::vector<std::string> names;
  for (const auto& check : verify(e))
    if (!check.passed) names.push_back(check.name);
  return names;
}

TEST(Status, SaysWhereTheReleaseIsAndWhatComesNext) {
  World world;
  const auto request = test::request_for("");
  const auto rest = json::parse(status_json(observed(world), request));
  EXPECT_EQ(rest.at("phase"), "at rest");
  EXPECT_EQ(rest.at("active"), "blue");
  EXPECT_EQ(rest.at("serving"), "blue");
  EXPECT_EQ(rest.at("slots").at("blue").at("pods").at("ready"), 3);
  EXPECT_EQ(rest.at("switched_at"), nullptr);
  EXPECT_THAT(rest.at("drift"), IsEmpty());
  EXPECT_THAT(status_text(observed(world), request), HasSubstr("blue   live     v1, 3 of 3 pods ready"));
  ASSERT_TRUE(test::Process(world).driver.run(Step::kDeploy, test::request_for("v2")).done);
  EXPECT_EQ(json::parse(status_json(observed(world), request)).at("phase"), "warming");
  ASSERT_TRUE(test::Process(world).driver.run(Step::kSwitch, request).done);
  EXPECT_EQ(json::parse(status_json(observed(world), request)).at("phase"), "watching");
  EXPECT_THAT(status_text(observed(world), request), HasSubstr("slotctl watch --env prod"));
  ASSERT_TRUE(test::Process(world).driver.run(Step::kRollback, request).done);
  EXPECT_EQ(json::parse(status_json(observed(world), request)).at("phase"), "rolled back");
}

TEST(Status, ReportsDrift) {
  World world;
  auto seen = observed(world);
  seen.cluster.serving = Slot::kGreen;
  seen.cluster.application.unsynced = {"Service detection-api"};
  seen.cluster.application.auto_sync = false;
  seen.cluster.application.hooks_skipped = true;
  EXPECT_THAT(drift_of(seen),
              ElementsAre("auto-sync is paused", HasSubstr("without migration and fence"),
                          "Service detection-api is not as Git says", "the Service selects green, Git says blue"));
}

TEST(Verify, EveryRowPassesAndEachFailsAlone) {
  World world;
  ASSERT_THAT(failed(evidence(world)), IsEmpty());
  struct Case {
    const char* row;
    std::function<void(VerifyEvidence&)> spoil;
  };
  const std::vector<Case> cases{
      {"Argo CD", [](VerifyEvidence& e) { e.seen.cluster.application.health = "Degraded"; }},
      {"Argo CD", [](VerifyEvidence& e) { e.seen.cluster.application.revision_has_wanted = false; }},
      {"Argo CD", [](VerifyEvidence& e) { e.seen.cluster.application.hooks_skipped = true; }},
      {"pods", [](VerifyEvidence& e) { e.seen.cluster.of(Slot::kBlue).ready = 2; }},
      {"traffic", [](VerifyEvidence& e) { e.seen.cluster.serving = Slot::kGreen; }},
      {"fence", [](VerifyEvidence& e) { e.seen.reports->pods[1].delivers = false; }},
      {"/ready", [](VerifyEvidence& e) { e.seen.reports->pods[1].ready = false; }},
      {"database, spool", [](VerifyEvidence& e) { e.seen.reports->pods[2].spool_items = 1; }},
      {"smoke", [](VerifyEvidence& e) { e.seen.smoke->passed = false; }},
      {"figures", [](VerifyEvidence& e) { e.now->error_ratio = 0.02; }},
      {"queue", [](VerifyEvidence& e) { e.now->queue_items = 2000; }},
      {"other slot", [](VerifyEvidence& e) { e.seen.cluster.of(Slot::kGreen).pods = 1; }},
  };
  for (const auto& one : cases) {
    auto spoilt = evidence(world);
    one.spoil(spoilt);
    EXPECT_THAT(failed(spoilt), ElementsAre(one.row));
  }
  const auto whole = evidence(world);
  const auto said = json::parse(verify_json(verify(whole), whole.seen.git, "prod"));
  EXPECT_EQ(said.at("passed"), true);
  EXPECT_EQ(said.at("checks").size(), 10U);
  EXPECT_THAT(verify_text(verify(whole)), HasSubstr("10 of 10 passed"));
}

TEST(Outcomes, AreATableAndAnObject) {
  const std::vector<Outcome> outcomes{{Step::kDeploy, true, "good", 12.34, {"deploy v2 to green"}, {}},
                                      {Step::kSmoke, false, "bad \"x\"", 1, {}, {}}};
  EXPECT_EQ(outcomes_text(outcomes),
            "ok      deploy        12.3 s  good\nFAILED  smoke          1.0 s  bad \"x\"\ntogether 13.3 s\n");
  const auto said = json::parse(outcomes_json(outcomes, test::request_for("")));
  EXPECT_EQ(said.at("done"), false);
  EXPECT_EQ(said.at("steps").at(0).at("commits").at(0), "deploy v2 to green");
  EXPECT_EQ(said.at("steps").at(1).at("text"), "bad \"x\"");
}

}  // namespace
}  // namespace detection::slotctl
