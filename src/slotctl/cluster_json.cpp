#include "slotctl/cluster_json.hpp"

#include <simdjson.h>

#include <algorithm>

#include "detection/time.hpp"

namespace detection::slotctl {
namespace {

using simdjson::dom::element;
using simdjson::dom::parser;

std::string text_at(const element& node, const char* pointer) {
  std::string_view value;
  return node.at_pointer(pointer).get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}

long number_at(const element& node, const char* pointer, long otherwise = 0) {
  std::int64_t value = 0;
  return node.at_pointer(pointer).get(value) == simdjson::SUCCESS ? static_cast<long>(value) : otherwise;
}

bool flag_at(const element& node, const char* pointer, bool otherwise = false) {
  bool value = otherwise;
  return node.at_pointer(pointer).get(value) == simdjson::SUCCESS ? value : otherwise;
}

bool has(const element& node, const char* pointer) {
  const auto found = node.at_pointer(pointer);
  return found.error() == simdjson::SUCCESS && !found.is_null();
}

double time_at(const element& node, const char* pointer) {
  const auto parsed = parse_rfc3339(text_at(node, pointer));
  return parsed ? static_cast<double>(parsed->count) / 1e6 : 0;
}

template <class Each>
void each(const element& node, const char* pointer, Each visit) {
  simdjson::dom::array array;
  if (node.at_pointer(pointer).get(array) != simdjson::SUCCESS) return;
  for (const auto item : array) visit(item);
}

void read_application(const element& node, Application& app) {
  app.exists = true;
  app.auto_sync = has(node, "/spec/syncPolicy/automated") && flag_at(node, "/spec/syncPolicy/automated/enabled", true);
  app.sync_status = text_at(node, "/status/sync/status");
  app.revision = text_at(node, "/status/sync/revision");
  app.health = text_at(node, "/status/health/status");
  app.phase = text_at(node, "/status/operationState/phase");
  app.phase_revision = text_at(node, "/status/operationState/operation/sync/revision");
  if (app.phase_revision.empty()) app.phase_revision = text_at(node, "/status/operationState/syncResult/revision");
  app.message = text_at(node, "/status/operationState/message");
  app.finished_s = time_at(node, "/status/operationState/finishedAt");
  each(node, "/status/operationState/operation/sync/resources", [&](const element&) { app.phase_partial = true; });
  // Oldest first; what synced single resources is not in it.
  each(node, "/status/history", [&](const element& sync) { app.whole_revision = text_at(sync, "/revision"); });
  app.resource_version = text_at(node, "/metadata/resourceVersion");
  app.refresh_pending = has(node, "/metadata/annotations/argocd.argoproj.io~1refresh");
  // What an operation says, and the reason why the application cannot even be compared (Git away, wrong manifests).
  each(node, "/status/conditions", [&](const element& condition) {
    if (text_at(condition, "/type").ends_with("Error"))
      app.error += (app.error.empty() ? "" : "; ") + text_at(condition, "/message");
  });
  if (!app.error.empty()) app.message += (app.message.empty() ? "" : "; ") + app.error;
  each(node, "/status/resources", [&](const element& resource) {
    if (text_at(resource, "/status") == "OutOfSync")
      app.unsynced.push_back(text_at(resource, "/kind") + " " + text_at(resource, "/name"));
  });
}

/// A refusal to make a pod, without the pod's random name: the same trouble stays the same text. The quota's own words
/// are long: what to do about it is said with them.
std::string refusal(std::string text) {
  constexpr std::string_view kForbidden = " is forbidden: ";
  if (const auto at = text.find(kForbidden); at != std::string::npos) text.erase(0, at + kForbidden.size());
  if (text.find("exceeded quota") != std::string::npos)
    text += " (pods that leave count until they are gone; see: kubectl -n detection-system describe resourcequota)";
  return text;
}

void read_deployment(const element& node, SlotPods& slot) {
  slot.exists = true;
  slot.wanted = static_cast<int>(number_at(node, "/spec/replicas", 1));
  slot.image = text_at(node, "/spec/template/spec/containers/0/image");
  const auto there = number_at(node, "/status/replicas");
  slot.rolled_out = number_at(node, "/status/observedGeneration") >= number_at(node, "/metadata/generation") &&
                    there == slot.wanted && number_at(node, "/status/updatedReplicas") == there;
  each(node, "/status/conditions", [&](const element& condition) {
    const auto type = text_at(condition, "/type"), status = text_at(condition, "/status");
    if (type == "ReplicaFailure" && status == "True") slot.trouble = refusal(text_at(condition, "/message"));
    if (type == "Progressing" && status == "False" && slot.trouble.empty())
      slot.trouble = text_at(condition, "/message");
  });
}

/// Why a pod is not ready, as its containers say it.
std::string trouble_of(const element& pod) {
  std::string trouble;
  each(pod, "/status/containerStatuses", [&](const element& status) {
    const auto reason = text_at(status, "/state/waiting/reason");
    if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") return;
    // These two take turns while a pull is tried again: one trouble.
    trouble = reason == "ErrImagePull" || reason == "ImagePullBackOff"
                  ? "ErrImagePull: " + text_at(status, "/image") +
                        " cannot be pulled; why, says: kubectl -n detection-system get events"
                  : reason + ": " + text_at(status, "/state/waiting/message");
  });
  each(pod, "/status/conditions", [&](const element& condition) {
    if (trouble.empty() && text_at(condition, "/type") == "PodScheduled" && text_at(condition, "/status") == "False")
      trouble = text_at(condition, "/reason") + ": " + text_at(condition, "/message");
  });
  return trouble;
}

void read_pod(const element& pod, ClusterState& state) {
  const auto which = slot_named(text_at(pod, "/metadata/labels/slot"));
  if (!which) {
    const auto job = text_at(pod, "/metadata/labels/batch.kubernetes.io~1job-name");
    if (const auto trouble = job.empty() ? "" : trouble_of(pod); !trouble.empty())
      state.hook_trouble = "Job " + job + ": " + trouble;
    return;
  }
  auto& slot = state.of(*which);
  ++slot.pods;
  const auto name = text_at(pod, "/metadata/name");
  each(pod, "/status/containerStatuses", [&](const element& status) {
    for (const auto* ended : {"/lastState/terminated/finishedAt", "/state/terminated/finishedAt"})
      if (has(status, ended)) slot.container_ends_s.push_back(time_at(status, ended));
  });
  if (has(pod, "/metadata/deletionTimestamp")) return;
  slot.present.push_back(name);
  bool ready = false;
  each(pod, "/status/conditions", [&](const element& condition) {
    if (text_at(condition, "/type") == "Ready") ready = text_at(condition, "/status") == "True";
  });
  if (ready) {
    ++slot.ready;
    slot.names.push_back(name);
  } else if (slot.trouble.empty()) {
    // Without the pod's name and the back-off's growing time: the same trouble stays the same text.
    slot.trouble = trouble_of(pod);
    if (const auto back_off = slot.trouble.find("CrashLoopBackOff"); back_off != std::string::npos)
      slot.trouble = "CrashLoopBackOff: its container ends again and again; kubectl -n detection-system logs -l slot=" +
                     std::string(slot_name(*which)) + " --previous";
  }
}

/// A Job that should have a pod and is refused one; only its events say so.
void read_job(const element& job, const element& events, ClusterState& state) {
  bool ended = false;
  each(job, "/status/conditions", [&](const element& condition) {
    const auto type = text_at(condition, "/type");
    ended = ended || ((type == "Complete" || type == "Failed") && text_at(condition, "/status") == "True");
  });
  if (ended || number_at(job, "/status/active") > 0) return;
  const auto uid = text_at(job, "/metadata/uid");
  std::string newest;
  each(events, "/items", [&](const element& event) {
    if (uid.empty() || text_at(event, "/involvedObject/uid") != uid || text_at(event, "/lastTimestamp") < newest)
      return;
    newest = text_at(event, "/lastTimestamp");
    state.hook_trouble = "Job " + text_at(job, "/metadata/name") + ": " + refusal(text_at(event, "/message"));
  });
}

/// When anyone changed the Service last: the fields' managers know.
double changed_s(const element& service) {
  double newest = time_at(service, "/metadata/creationTimestamp");
  each(service, "/metadata/managedFields",
       [&](const element& manager) { newest = std::max(newest, time_at(manager, "/time")); });
  return newest;
}

/// Parses and visits; an empty text is nothing.
template <class Visit>
Result<void> parsed(parser& json, const std::string& text, std::string_view what, Visit visit) {
  if (text.empty()) return {};
  element root;
  if (json.parse(text).get(root) != simdjson::SUCCESS)
    return fail(ErrorCode::kMalformedJson, std::string(what) + ": the answer is no JSON: " + text.substr(0, 120));
  visit(root);
  return {};
}

}  // namespace

Result<ClusterState> read_cluster(const ClusterTexts& texts) {
  ClusterState state;
  parser json;
  auto done = parsed(json, texts.application, "Application",
                     [&](const element& root) { read_application(root, state.application); });
  for (const auto slot : {Slot::kBlue, Slot::kGreen}) {
    const auto at = static_cast<std::size_t>(slot);
    if (done)
      done = parsed(json, texts.deployments[at], "Deployment",
                    [&](const element& root) { read_deployment(root, state.of(slot)); });
    if (done)
      done = parsed(json, texts.autoscalers[at], "HorizontalPodAutoscaler", [&](const element& root) {
        state.of(slot).autoscaler_least = static_cast<int>(number_at(root, "/spec/minReplicas", 1));
        state.of(slot).autoscaler_most = static_cast<int>(number_at(root, "/spec/maxReplicas", 1));
      });
  }
  if (done)
    done = parsed(json, texts.service, "Service", [&](const element& root) {
      state.serving = slot_named(text_at(root, "/spec/selector/slot"));
      state.service_changed_s = changed_s(root);
    });
  if (done)
    done = parsed(json, texts.pods, "pods", [&](const element& root) {
      each(root, "/items", [&](const element& pod) { read_pod(pod, state); });
    });
  parser events_json;  // an element lives until its parser reads something else
  Result<void> jobs_done;
  if (done)
    done = parsed(events_json, texts.events, "events", [&](const element& events) {
      jobs_done = parsed(json, texts.jobs, "jobs", [&](const element& jobs) {
        each(jobs, "/items", [&](const element& job) { read_job(job, events, state); });
      });
    });
  if (done) done = jobs_done;
  if (!done) return std::unexpected(done.error());
  for (auto& slot : state.slots) {
    std::ranges::sort(slot.names);
    std::ranges::sort(slot.present);
    if (slot.wanted == 0) slot.trouble.clear();
  }
  return state;
}

PodReport read_ready(std::string pod, std::string_view body) {
  PodReport report;
  report.pod = std::move(pod);
  parser json;
  element root;
  if (body.empty() || json.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS || !has(root, "/status")) {
    report.error = "its answer is not that of /ready: " + std::string(body.substr(0, 120));
    return report;
  }
  report.ready = text_at(root, "/status") == "ready";
  report.store_writable = flag_at(root, "/store/writable");
  report.spool_items = number_at(root, "/spool/items");
  report.active_slot = slot_named(text_at(root, "/release/active_slot"));
  report.delivers = flag_at(root, "/release/delivers");
  return report;
}

std::optional<std::string> read_smoke_failures(std::string_view body) {
  parser json;
  element root;
  if (body.empty() || json.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS || !has(root, "/checks"))
    return std::nullopt;
  std::string failures;
  each(root, "/checks", [&](const element& check) {
    if (!flag_at(check, "/passed"))
      failures += (failures.empty() ? "" : "; ") + text_at(check, "/name") + ": " + text_at(check, "/text");
  });
  return failures;
}

}  // namespace detection::slotctl
