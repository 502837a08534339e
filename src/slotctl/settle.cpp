// What every step shares: has the cluster what Git says?

#include <algorithm>

#include "slotctl/decide.hpp"

namespace detection::slotctl {
namespace {

std::string joined(const std::vector<std::string>& words) {
  constexpr std::size_t kMost = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(words.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + words[i];
  if (words.size() > kMost) text += " and " + std::to_string(words.size() - kMost) + " more";
  return text;
}

Decision failed_sync(const Observed& seen, const Request& request) {
  const auto& app = seen.cluster.application;
  if (!seen.sync_started && app.finished_s < seen.began_s) return StartSync{"the sync that has failed once more"};
  return Refuse{"the sync of " + short_revision(app.phase_revision) + " has failed: " + app.message +
                ". What was not reached is as before. Look: kubectl -n detection-system get pods,jobs, and the log of "
                "the job that is named; then run the same step again, or: slotctl rollback --env " +
                request.environment};
}

/// A Job of the sync that runs has no pod, or one that cannot start: nothing behind it is reached, for as long as Argo
/// CD waits for it.
Decision held_sync(const Observed& seen, const Request& request) {
  return Refuse{"the sync of " + short_revision(seen.git.wanted) + " does not get on: " + seen.cluster.hook_trouble +
                ". What was not reached is as before. When the cause is gone, run the same step again; or give it up: "
                "slotctl rollback --env " +
                request.environment};
}

}  // namespace

std::string short_revision(const std::string& revision) {
  return revision.empty() ? "nothing yet" : revision.substr(0, 10);
}

std::string slot_text(const Slots& slots, Slot slot) {
  return std::string(slot_name(slot)) + " (" + slots.of(slot).image.text() + ")";
}

std::optional<Decision> settle(const Observed& seen, const Request& request) {
  const auto& app = seen.cluster.application;
  const auto wanted = short_revision(seen.git.wanted);
  if (!app.exists)
    return Refuse{"Argo CD has no Application " + request.application + ": kubectl apply -f kubernetes/argocd/root-" +
                  request.environment + ".yaml"};
  if (!app.auto_sync)
    return Refuse{"auto-sync of " + request.application +
                  " is paused, so no commit reaches the cluster. When the emergency is over: kubectl -n argocd patch "
                  "application " +
                  request.application + R"( --type merge -p '{"spec":{"syncPolicy":{"automated":{"enabled":true}}}}')"};
  if (app.phase == "Terminating") return Wait{"Argo CD ends the sync of " + short_revision(app.phase_revision)};
  if (app.phase == "Running") {
    // A try after a failed one names no commit until it has looked which is the newest.
    if (!app.phase_has_wanted && !app.phase_revision.empty()) return EndSync{};
    if (const auto& trouble = seen.cluster.hook_trouble; !trouble.empty()) {
      if (seen.hook_trouble_for_s > kTroubleMost_s) return held_sync(seen, request);
      return Wait{"Argo CD syncs " + wanted + "; " + trouble};
    }
    return Wait{"Argo CD syncs " + wanted + (app.message.empty() ? "" : ": " + app.message)};
  }
  if (!app.revision_has_wanted) {
    if (!app.refresh_pending) return Refresh{};
    return Wait{
        "Argo CD has yet to look at " + wanted + " (it is at " + short_revision(app.revision) +
        (app.error.empty() ? "" : "; it says: " + app.error) +
        "); should it stay so: is its controller up, can its repository server reach Git? kubectl -n argocd get "
        "pods"};
  }
  const bool failed = app.phase == "Failed" || app.phase == "Error";
  if (failed && app.phase_has_wanted) return failed_sync(seen, request);
  if (app.hooks_skipped) {
    if (!seen.sync_started) return StartSync{"a whole sync: " + wanted + " got there without migration and fence"};
    return Wait{"Argo CD has yet to begin the whole sync of " + wanted};
  }
  if (app.sync_status != "Synced")
    return Wait{"Argo CD finds " + (app.sync_status.empty() ? "nothing yet" : app.sync_status) + " at " + wanted +
                (app.unsynced.empty() ? "" : ": " + joined(app.unsynced))};
  return std::nullopt;
}

std::optional<Decision> follow_switch(const Observed& seen) {
  const auto active = seen.git.slots.active;
  const std::string name(slot_name(active));
  if (seen.cluster.serving != active) return Wait{"the Service does not select " + name + " yet"};
  if (!seen.reports || seen.reports->slot != active) return AskPods{active};
  const auto& pods = seen.reports->pods;
  const auto delivering =
      std::ranges::count_if(pods, [&](const PodReport& pod) { return pod.active_slot == active && pod.delivers; });
  if (delivering == 0) return Wait{"no pod of " + name + " says that its slot delivers: the fence has not moved yet"};
  return std::nullopt;
}

SlotValues wanted_release(const Slots& slots, const Request& request) {
  auto wanted = slots.of(slots.active);
  wanted.min_replicas.reset();
  if (request.image) {
    // Repository as before where none is given; a tag without a digest must not keep the digest of another image.
    if (!request.image->repository.empty()) wanted.image.repository = request.image->repository;
    wanted.image.tag = request.image->tag;
    wanted.image.digest = request.image->digest;
  }
  if (request.config) wanted.config = *request.config;
  return wanted;
}

std::optional<double> watch_began_s(const Observed& seen) {
  const auto& switched = seen.git.history.switched_s;
  if (!switched) return std::nullopt;
  return std::max(*switched, seen.cluster.service_changed_s);
}

std::string_view step_name(Step step) noexcept {
  switch (step) {
    case Step::kDeploy: return "deploy";
    case Step::kSmoke: return "smoke";
    case Step::kSwitch: return "switch";
    case Step::kWatch: return "watch";
    case Step::kFinalize: return "finalize";
    case Step::kRollback: return "rollback";
  }
  return "";
}

Decision decide(Step step, const Observed& seen, const Request& request) {
  switch (step) {
    case Step::kDeploy: return decide_deploy(seen, request);
    case Step::kSmoke: return decide_smoke(seen, request);
    case Step::kSwitch: return decide_switch(seen, request);
    case Step::kWatch: return decide_watch(seen, request);
    case Step::kFinalize: return decide_finalize(seen, request);
    case Step::kRollback: return decide_rollback(seen, request);
  }
  return Refuse{"there is no such step"};
}

}  // namespace detection::slotctl
