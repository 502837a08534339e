// deploy, smoke, switch: until the new slot has the traffic.

#include <algorithm>

#include "slotctl/decide.hpp"

namespace detection::slotctl {
namespace {

const SlotPods& pods_of(const Observed& seen, Slot slot) {
  return seen.cluster.of(slot);
}

/// How many pods the live slot has, for the other one to have as many.
int live_size(const Observed& seen) {
  const auto& live = pods_of(seen, seen.git.slots.active);
  int size = std::max({1, live.wanted, live.autoscaler_least.value_or(0)});
  if (live.autoscaler_most) size = std::min(size, std::max(1, *live.autoscaler_most));
  return size;
}

std::string counted(const SlotPods& pods, int need) {
  return std::to_string(pods.ready) + " of " + std::to_string(need) + " pods are ready";
}

/// Whether the slot has its pods; nothing: it has.
std::optional<Decision> warm(const Observed& seen, const Request& request, Slot slot, int need) {
  const auto& pods = pods_of(seen, slot);
  const std::string name(slot_name(slot));
  const bool enough = pods.ready >= need && pods.rolled_out;
  if (!enough && !pods.trouble.empty() && seen.trouble_for_s > kTroubleMost_s)
    return Refuse{name + " does not get its pods (" + counted(pods, need) + "): " + pods.trouble +
                  ". Traffic and delivery are as before. To give the release up: slotctl rollback --env " +
                  request.environment};
  if (auto open = settle(seen, request)) {
    if (auto* wait = std::get_if<Wait>(&*open); wait != nullptr && !pods.trouble.empty())
      wait->text += "; " + name + ": " + pods.trouble;
    return open;
  }
  if (enough) return std::nullopt;
  return Wait{name + ": " + counted(pods, need) + (pods.rolled_out ? "" : ", not all of the newest version") +
              (pods.trouble.empty() ? "" : "; " + pods.trouble)};
}

std::optional<Decision> smoke_passed(const Observed& seen, const Request& request, Slot slot) {
  auto names = pods_of(seen, slot).names;
  std::ranges::sort(names);
  if (!seen.smoke || seen.smoke->slot != slot || seen.smoke->pods != names) return RunSmoke{slot};
  if (seen.smoke->passed) return std::nullopt;
  return Refuse{"smoke of " + slot_text(seen.git.slots, slot) + " has failed: " + seen.smoke->text +
                ". No traffic has moved. To give the release up: slotctl rollback --env " + request.environment};
}

/// The release that is asked for is live already: how far it is.
std::string live_already(const Observed& seen) {
  const auto& slots = seen.git.slots;
  return slot_text(slots, slots.active) + " is live already" +
         (seen.git.history.standby ? ", " + slot_text(slots, other(slots.active)) + " on standby" : "");
}

bool is_live(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  return (request.image || request.config) && slots.of(slots.active).same_release(wanted_release(slots, request));
}

Decision occupied(const Observed& seen, const Request& request, Slot idle, bool same) {
  const auto& history = seen.git.history;
  const auto who = slot_text(seen.git.slots, idle);
  const auto finalize = "slotctl finalize --env " + request.environment;
  if (!history.standby)
    return Refuse{"a release of " + who + " is under way. Go on with it, or give it up: slotctl rollback --env " +
                  request.environment};
  if (auto open = history.rolled_back ? settle(seen, request) : std::nullopt) return *open;
  if (history.rolled_back)
    return Refuse{who + " is what was rolled back from" + (same ? ": another version is needed. " : ". ") +
                  "Take it down first: " + finalize};
  return Refuse{who + " is on standby since the last switch. Finish that release first: " + finalize +
                ", or go back to it: slotctl rollback --env " + request.environment};
}

Decision start_release(const Observed& seen, const Request& request, Slot idle, const SlotValues& release) {
  // What was before must be whole, else the new release would be blamed for it.
  if (auto open = settle(seen, request)) return *open;
  Commit commit{seen.git.slots, {}, "deploy", idle};
  auto& slot = commit.slots.of(idle);
  slot = release;
  slot.running = true;
  if (pods_of(seen, seen.git.slots.active).autoscaler_least) slot.min_replicas = live_size(seen);
  commit.slots.migrate = true;
  commit.subject = "deploy " + slot.image.text() + " to " + std::string(slot_name(idle));
  return commit;
}

}  // namespace

Decision decide_deploy(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  const auto idle = other(slots.active);
  const auto release = wanted_release(slots, request);
  if (is_live(seen, request)) {
    if (auto open = settle(seen, request)) return *open;
    return Done{live_already(seen)};
  }
  const auto& there = slots.of(idle);
  if (!there.running) return start_release(seen, request, idle, release);
  const bool same = there.same_release(release);
  if (!same || seen.git.history.standby) return occupied(seen, request, idle, same);
  const int need = there.min_replicas.value_or(std::max(1, pods_of(seen, idle).wanted));
  if (auto open = warm(seen, request, idle, need)) return *open;
  return Done{slot_text(slots, idle) + " has " + std::to_string(pods_of(seen, idle).ready) + " ready pods beside " +
              slot_text(slots, slots.active)};
}

Decision decide_smoke(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  if (!request.slot && is_live(seen, request)) return Done{live_already(seen)};
  const auto slot = request.slot.value_or(other(slots.active));
  const std::string name(slot_name(slot));
  if (!slots.of(slot).running)
    return Refuse{name + " is idle: there is nothing to look at. A release begins with: slotctl deploy --env " +
                  request.environment};
  if (auto open = warm(seen, request, slot, 1)) return *open;
  if (auto open = smoke_passed(seen, request, slot)) return *open;
  return Done{slot_text(slots, slot) + ": " + seen.smoke->text};
}

Decision decide_switch(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  const auto& history = seen.git.history;
  const auto next = other(slots.active);
  const bool live = is_live(seen, request);
  if (live || history.standby) {
    if (!live && history.rolled_back)
      return Refuse{slot_text(slots, next) +
                    " was rolled back from; to switch to it all the same: slotctl rollback --env " +
                    request.environment + " --to " + std::string(slot_name(next))};
    if (auto open = settle(seen, request)) return *open;
    if (auto open = follow_switch(seen)) return *open;
    return Done{slot_text(slots, slots.active) + " has the traffic and delivers" +
                (history.standby ? "; " + slot_text(slots, next) + " is on standby" : "")};
  }
  if (!slots.of(next).running)
    return Refuse{std::string(slot_name(next)) + " is idle. A release begins with: slotctl deploy --env " +
                  request.environment};
  const bool scaled = pods_of(seen, slots.active).autoscaler_least.has_value();
  // The live slot may have grown since the deploy.
  const auto least = pods_of(seen, next).autoscaler_least;
  if (const int size = live_size(seen);
      scaled && least && size > std::max(*least, slots.of(next).min_replicas.value_or(0))) {
    Commit larger{slots, "deploy: " + slot_text(slots, next) + " to " + std::to_string(size) + " pods", "deploy", next};
    larger.slots.of(next).min_replicas = size;
    larger.slots.migrate = false;
    return larger;
  }
  const int need = std::max(1, pods_of(seen, slots.active).ready);
  if (auto open = warm(seen, request, next, need)) return *open;
  if (auto open = smoke_passed(seen, request, next)) return *open;
  Commit commit{slots, "switch to " + slot_text(slots, next), "switch", next};
  commit.slots.active = next;
  commit.slots.migrate = false;
  // The old slot keeps its size for as long as a rollback may need it.
  if (scaled) commit.slots.of(slots.active).min_replicas = live_size(seen);
  return commit;
}

}  // namespace detection::slotctl
