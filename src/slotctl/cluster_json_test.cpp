// What Kubernetes answers -> what is seen; each body cut down from a real one.

#include "slotctl/cluster_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detection::slotctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kApplication = R"({
 "metadata":{"name":"detection-api-prod","resourceVersion":"812","annotations":{"argocd.argoproj.io/refresh":"normal"}},
 "spec":{"syncPolicy":{"automated":{"prune":true,"selfHeal":true,"enabled":true}}},
 "status":{"sync":{"status":"OutOfSync","revision":"aaaa"},"health":{"status":"Progressing"},
  "conditions":[{"type":"ComparisonError","message":"cannot reach Git"},{"type":"OrphanedResourceWarning","message":"x"}],
  "resources":[{"kind":"Service","name":"detection-api","status":"OutOfSync"},{"kind":"Namespace","name":"n","status":"Synced"}],
  "operationState":{"phase":"Failed","message":"Job detection-api-fence failed","finishedAt":"2026-11-26T21:00:00Z",
   "operation":{"sync":{"revision":"bbbb"}},"syncResult":{"revision":"cccc"}}}})";

constexpr const char* kPods = R"({"items":[
 {"metadata":{"name":"blue-1","labels":{"slot":"blue"}},"status":{"conditions":[{"type":"Ready","status":"True"}],
   "containerStatuses":[{"lastState":{"terminated":{"finishedAt":"1970-01-01T00:01:40Z"}},"state":{"running":{}}}]}},
 {"metadata":{"name":"blue-2","labels":{"slot":"blue"},"deletionTimestamp":"2026-11-26T21:00:00Z"},
   "status":{"conditions":[{"type":"Ready","status":"True"}]}},
 {"metadata":{"name":"green-1","labels":{"slot":"green"}},"status":{"conditions":[{"type":"Ready","status":"False"}],
   "containerStatuses":[{"state":{"waiting":{"reason":"ErrImageNeverPull","message":"not present"}}}]}},
 {"metadata":{"name":"other","labels":{}},"status":{}}]})";

std::string deployment(const std::string& status, int replicas = 3) {
  return R"({"metadata":{"generation":4},"spec":{"replicas":)" + std::to_string(replicas) +
         R"(,"template":{"spec":{"containers":[{"image":"r/detection-api:v1"}]}}},"status":)" + status + "}";
}

TEST(ClusterJson, Application) {
  const auto app = read_cluster({.application = kApplication}).value().application;
  EXPECT_TRUE(app.exists && app.auto_sync && app.refresh_pending);
  EXPECT_EQ(app.revision, "aaaa");
  EXPECT_EQ(app.phase, "Failed");
  EXPECT_EQ(app.phase_revision, "bbbb");
  EXPECT_EQ(app.message, "Job detection-api-fence failed; cannot reach Git");
  EXPECT_EQ(app.error, "cannot reach Git");
  EXPECT_EQ(app.resource_version, "812");
  EXPECT_THAT(app.unsynced, ElementsAre("Service detection-api"));
  EXPECT_FALSE(app.phase_partial);
  EXPECT_EQ(app.whole_revision, "");
  EXPECT_FALSE(read_cluster({}).value().application.exists);
  const auto automated = [](const char* policy) {
    return read_cluster({.application = std::string(R"({"spec":{"syncPolicy":)") + policy + "}}"})
        .value()
        .application.auto_sync;
  };
  EXPECT_TRUE(automated(R"({"automated":{}})"));
  EXPECT_FALSE(automated(R"({"automated":{"enabled":false}})"));
  EXPECT_FALSE(automated(R"({"automated":null})"));
  EXPECT_FALSE(automated("{}"));
}

TEST(ClusterJson, ASyncOfSingleResourcesIsToldFromAWholeOne) {
  const auto app = read_cluster({.application = R"({"status":{
    "history":[{"id":75,"revision":"aaaa"},{"id":76,"revision":"bbbb"}],
    "operationState":{"phase":"Succeeded","operation":{"sync":{"revision":"cccc","autoHealAttemptsCount":1,
      "resources":[{"kind":"Service","name":"detection-api"},{"group":"batch","kind":"Job","name":"detection-api-fence"}]}}}}})"})
                       .value()
                       .application;
  EXPECT_TRUE(app.phase_partial);
  EXPECT_EQ(app.phase_revision, "cccc");
  EXPECT_EQ(app.whole_revision, "bbbb");
}

TEST(ClusterJson, PodsOfEachSlot) {
  const auto state = read_cluster({.pods = kPods, .deployments = {deployment("{}"), deployment("{}")}}).value();
  const auto &blue = state.of(Slot::kBlue), &green = state.of(Slot::kGreen);
  EXPECT_EQ(blue.pods, 2);
  EXPECT_EQ(blue.ready, 1) << "one that leaves is not counted";
  EXPECT_THAT(blue.present, ElementsAre("blue-1"));
  EXPECT_THAT(blue.container_ends_s, ElementsAre(100));
  EXPECT_EQ(green.ready, 0);
  EXPECT_THAT(green.trouble, HasSubstr("ErrImageNeverPull: not present"));
}

TEST(ClusterJson, ADeploymentIsRolledOutWhenItsControllerSaysSoOfTheNewestOne) {
  const auto of = [](const std::string& status) {
    return read_cluster({.deployments = {deployment(status), ""}}).value().of(Slot::kBlue);
  };
  EXPECT_TRUE(of(R"({"observedGeneration":4,"replicas":3,"updatedReplicas":3})").rolled_out);
  EXPECT_FALSE(of(R"({"observedGeneration":3,"replicas":3,"updatedReplicas":3})").rolled_out);
  EXPECT_FALSE(of(R"({"observedGeneration":4,"replicas":4,"updatedReplicas":3})").rolled_out);
  EXPECT_FALSE(of(R"({"observedGeneration":4,"replicas":2,"updatedReplicas":2})").rolled_out) << "not scaled yet";
  const auto full = of(R"({"observedGeneration":4,"replicas":2,"conditions":[{"type":"ReplicaFailure","status":"True",
    "message":"pods \"x\" is forbidden: exceeded quota: detection-api, requested: pods=1, used: pods=34, limited: pods=34"}]})");
  EXPECT_THAT(full.trouble, HasSubstr("exceeded quota: detection-api"));
  EXPECT_THAT(full.trouble, HasSubstr("describe resourcequota")) << "what to do about it";
}

TEST(ClusterJson, TheSameTroubleIsTheSameText) {
  const auto full = [](const std::string& name) {
    return read_cluster({.deployments = {deployment(
                             R"({"conditions":[{"type":"ReplicaFailure","status":"True","message":"pods \"green-)" +
                             name + R"(\" is forbidden: exceeded quota: detection-api"}]})")}})
        .value()
        .of(Slot::kBlue)
        .trouble;
  };
  EXPECT_EQ(full("8d9x2"), full("b4kk7")) << "each try has another name";
  const auto pull = [](const std::string& reason) {
    return read_cluster(
               {.pods = R"({"items":[{"metadata":{"name":"g","labels":{"slot":"green"}},"status":{"containerStatuses":[
        {"image":"r/detection-api:no","state":{"waiting":{"reason":")" +
                        reason + R"(","message":"Back-off )" + reason + R"("}}}]}}]})",
                .deployments = {"", deployment("{}")}})
        .value()
        .of(Slot::kGreen)
        .trouble;
  };
  EXPECT_EQ(pull("ErrImagePull"), pull("ImagePullBackOff")) << "they take turns";
  EXPECT_THAT(pull("ErrImagePull"), HasSubstr("ErrImagePull: r/detection-api:no"));
}

TEST(ClusterJson, AJobOfTheSyncThatGetsNoPodOrNoImage) {
  constexpr const char* kEvents = R"({"items":[
   {"involvedObject":{"uid":"old"},"lastTimestamp":"2026-11-26T21:00:09Z","message":"of the Job before"},
   {"involvedObject":{"uid":"now"},"lastTimestamp":"2026-11-26T21:00:05Z",
    "message":"Error creating: pods \"fence-x\" is forbidden: exceeded quota: detection-api, used: pods=34"},
   {"involvedObject":{"uid":"now"},"lastTimestamp":"2026-11-26T21:00:01Z","message":"older"}]})";
  const auto trouble = [](const std::string& status, const char* events) {
    return read_cluster({.jobs = R"({"items":[{"metadata":{"name":"detection-api-fence","uid":"now"},"status":)" +
                                 status + "}]}",
                         .events = events})
        .value()
        .hook_trouble;
  };
  EXPECT_THAT(trouble("{}", kEvents), HasSubstr("Job detection-api-fence: exceeded quota: detection-api"));
  EXPECT_THAT(trouble("{}", kEvents), HasSubstr("describe resourcequota"));
  EXPECT_EQ(trouble(R"({"active":1})", kEvents), "") << "it has its pod";
  EXPECT_EQ(trouble(R"({"conditions":[{"type":"Complete","status":"True"}]})", kEvents), "");
  EXPECT_EQ(trouble("{}", R"({"items":[]})"), "");
  const auto pods = read_cluster(
      {.pods =
           R"({"items":[{"metadata":{"name":"m-1","labels":{"batch.kubernetes.io/job-name":"detection-api-migrate"}},
      "status":{"containerStatuses":[{"image":"r:no","state":{"waiting":{"reason":"ImagePullBackOff","message":"x"}}}]}}]})"});
  EXPECT_THAT(pods.value().hook_trouble, HasSubstr("Job detection-api-migrate: ErrImagePull: r:no"));
  EXPECT_FALSE(read_cluster({.jobs = "<html>", .events = R"({"items":[]})"}));
}

TEST(ClusterJson, ServiceAndAutoscaler) {
  const auto state = read_cluster({.service = R"({"metadata":{"creationTimestamp":"1970-01-01T00:00:10Z",
      "managedFields":[{"time":"1970-01-01T00:00:30Z"},{"time":"1970-01-01T00:00:20Z"}]},"spec":{"selector":{"slot":"green"}}})",
                                   .autoscalers = {"", R"({"spec":{"minReplicas":4,"maxReplicas":10}})"}})
                         .value();
  EXPECT_EQ(state.serving, Slot::kGreen);
  EXPECT_EQ(state.service_changed_s, 30);
  EXPECT_FALSE(state.of(Slot::kBlue).autoscaler_least);
  EXPECT_EQ(state.of(Slot::kGreen).autoscaler_least, 4);
  EXPECT_EQ(state.of(Slot::kGreen).autoscaler_most, 10);
}

TEST(ClusterJson, WhatIsNoJsonIsAnError) {
  const auto read = read_cluster({.pods = "<html>bad gateway</html>"});
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().detail, HasSubstr("pods: the answer is no JSON"));
}

TEST(ReadyJson, SpoolFenceAndDatabase) {
  const auto pod =
      read_ready("p", R"({"status":"ready","reason":null,"store":{"writable":true,"waiting":0,"reason":null},
    "spool":{"writable":true,"items":7},"release":{"slot":"blue","active_slot":"green","delivers":false},"sinks":[]})");
  EXPECT_TRUE(pod.error.empty() && pod.ready && pod.store_writable && !pod.delivers);
  EXPECT_EQ(pod.spool_items, 7);
  EXPECT_EQ(pod.active_slot, Slot::kGreen);
  EXPECT_FALSE(read_ready("p", R"({"status":"not_ready","release":{"active_slot":null}})").active_slot);
  EXPECT_THAT(read_ready("p", "command terminated").error, HasSubstr("not that of /ready"));
}

TEST(SmokeJson, NamesWhatFailed) {
  EXPECT_EQ(
      read_smoke_failures(
          R"({"passed":false,"checks":[{"name":"health","passed":true,"text":"200"},{"name":"ready","passed":false,"text":"503"}]})"),
      "ready: 503");
  EXPECT_FALSE(read_smoke_failures("error: unable to upgrade connection"));
}

}  // namespace
}  // namespace detection::slotctl
