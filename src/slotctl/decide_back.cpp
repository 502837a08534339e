// watch, finalize, rollback: once the new slot has the traffic, or was found to be bad before.

#include <algorithm>

#include "slotctl/decide.hpp"

namespace detection::slotctl {
namespace {

std::string seconds(double value) {
  return std::to_string(static_cast<long>(value)) + " s";
}

/// The figures over the watch, or why there is no verdict; nothing: the watch has passed.
std::optional<Decision> watched(const Observed& seen, const Request& request) {
  const double elapsed_s = seen.now_s - watch_began_s(seen).value_or(seen.now_s);
  if (!seen.judgement) return Judge{};
  if (seen.judgement->verdict == Verdict::kBad) return RollBack{seen.judgement->text};
  const auto progress = seconds(std::min(elapsed_s, request.watch_s)) + " of " + seconds(request.watch_s);
  if (seen.judgement->verdict == Verdict::kUnknown) {
    if (seen.metrics_away_s > request.metrics_away_most_s)
      return Refuse{
          "no verdict: " + seen.judgement->text +
          ". Both slots stay as they are. Bring Prometheus back (kubectl -n "
          "monitoring get pods; or --prometheus-url), then run watch again; to go back: slotctl rollback --env " +
          request.environment};
    return Wait{progress + ", no figures: " + seen.judgement->text};
  }
  if (elapsed_s < request.watch_s) return Wait{progress + ": " + seen.judgement->text};
  return std::nullopt;
}

/// Whether the old slot holds anything that would be lost with its pods; nothing: it does not.
std::optional<Decision> emptied(const Observed& seen, const Request& request, Slot old) {
  const std::string name(slot_name(old));
  if (seen.cluster.of(old).pods == 0) return std::nullopt;
  if (!seen.reports || seen.reports->slot != old) return AskPods{old};
  long spooled = 0;
  std::string away;
  for (const auto& pod : seen.reports->pods) {
    if (!pod.error.empty()) {
      if (request.without_spool_check) continue;
      return Refuse{"pod " + pod.pod + " of " + name + " cannot say what its spool holds: " + pod.error +
                    ". If it never took a detection (it was never ready), nothing is lost: --without-spool-check"};
    }
    if (pod.delivers || pod.active_slot != seen.git.slots.active)
      return Wait{"pod " + pod.pod + " of " + name + " still delivers, or does not see the fence"};
    spooled += pod.spool_items;
    if (!pod.store_writable) away = pod.pod;
  }
  if (spooled > 0)
    return Wait{name + " still holds " + std::to_string(spooled) +
                " detections in its spools: they would be lost with its pods"};
  if (!away.empty()) return Wait{"pod " + away + " cannot reach the database: what it takes now would be lost with it"};
  return std::nullopt;
}

Commit back_to(const Observed& seen, Slot to) {
  Commit commit{seen.git.slots, "roll back to " + slot_text(seen.git.slots, to), "rollback", to};
  commit.slots.active = to;
  commit.slots.migrate = false;
  return commit;
}

/// The release that was begun is given up; traffic never was there.
Commit give_up(const Observed& seen, Slot warming) {
  const auto& slots = seen.git.slots;
  Commit commit{slots, "roll back: give " + slot_text(slots, warming) + " up", "rollback", warming};
  auto& slot = commit.slots.of(warming);
  // As it was before: the version that it would go back to later.
  if (seen.git.history.other_at_rest) slot = *seen.git.history.other_at_rest;
  slot.running = false;
  slot.min_replicas.reset();
  return commit;
}

Decision finish_rollback(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  if (auto open = settle(seen, request)) return *open;
  if (auto open = follow_switch(seen)) return *open;
  const auto next = other(slots.active);
  return Done{slot_text(slots, slots.active) + " has the traffic and delivers; " + slot_text(slots, next) +
              (slots.of(next).running ? " still runs: slotctl finalize --env " + request.environment + " takes it down"
                                      : " is idle")};
}

/// To a slot that runs, or is made to: first its pods, then the traffic.
Decision warm_then_switch(const Observed& seen, const Request& request, Slot to) {
  const auto& slots = seen.git.slots;
  const auto& pods = seen.cluster.of(to);
  const auto& live = seen.cluster.of(slots.active);
  const bool scaled = live.autoscaler_least || seen.cluster.of(to).autoscaler_least;
  const int need = std::max(1, live.ready);
  const auto& values = slots.of(to);
  if (!values.running && values.image.empty())
    return Refuse{std::string(slot_name(to)) + " never held a version: there is nothing to go back to"};
  if (!values.running || (scaled && pods.ready < need && values.min_replicas.value_or(0) < need)) {
    Commit commit{slots, "warm " + slot_text(slots, to) + " to roll back to it", "rollback-warm", to};
    auto& slot = commit.slots.of(to);
    slot.running = true;
    if (scaled) slot.min_replicas = std::max(need, live.wanted);
    commit.slots.migrate = false;
    return commit;
  }
  if (pods.ready >= need && pods.rolled_out) return back_to(seen, to);
  if (!pods.trouble.empty() && seen.trouble_for_s > kTroubleMost_s)
    return Refuse{std::string(slot_name(to)) + " does not get its pods: " + pods.trouble + ". Traffic is as before"};
  // Only the sync itself matters here; what else Argo CD finds must not hold a rollback up.
  if (auto open = settle(seen, request))
    if (!std::holds_alternative<Wait>(*open)) return *open;
  return Wait{std::string(slot_name(to)) + ": " + std::to_string(pods.ready) + " of " + std::to_string(need) +
              " pods are ready" + (pods.trouble.empty() ? "" : "; " + pods.trouble)};
}

}  // namespace

Decision decide_watch(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  const auto& history = seen.git.history;
  if (history.rolled_back) {
    // The rollback may be that of a watch which was killed: it is brought to its end.
    if (auto open = settle(seen, request)) return *open;
    if (auto open = follow_switch(seen)) return *open;
    return Refuse{slot_text(slots, slots.active) + " has the traffic by a rollback: there is nothing to watch"};
  }
  if (!history.standby) {
    const bool finalized = request.image && !slots.of(other(slots.active)).running &&
                           slots.of(slots.active).same_release(wanted_release(slots, request));
    if (finalized) return Done{slot_text(slots, slots.active) + " is live and finalized already"};
    return Refuse{"no switch is to be watched: " + slot_text(slots, slots.active) + " is live, " +
                  slot_text(slots, other(slots.active)) + " is not on standby"};
  }
  if (auto open = watched(seen, request)) return *open;
  return Done{slot_text(slots, slots.active) + " was good for " + seconds(request.watch_s) + ": " +
              seen.judgement->text};
}

Decision decide_finalize(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  const auto& history = seen.git.history;
  const auto old = other(slots.active);
  if (!slots.of(old).running) {
    if (auto open = settle(seen, request)) return *open;
    const auto left = seen.cluster.of(old).pods;
    if (left > 0) return Wait{std::to_string(left) + " pods of " + std::string(slot_name(old)) + " are leaving"};
    return Done{slot_text(slots, old) + " is at 0; " + slot_text(slots, slots.active) + " is live"};
  }
  if (!history.standby)
    return Refuse{slot_text(slots, old) + " was never switched to. Go on with: slotctl switch --env " +
                  request.environment + ", or give it up: slotctl rollback --env " + request.environment};
  if (auto open = settle(seen, request)) return *open;
  if (seen.cluster.serving != slots.active)
    return Wait{"the Service does not select " + std::string(slot_name(slots.active)) + " yet"};
  if (!history.rolled_back && !request.without_watch) {
    if (auto open = watched(seen, request)) {
      if (const auto* bad = std::get_if<RollBack>(&*open))
        return Refuse{"the figures of " + slot_text(slots, slots.active) + " are bad: " + bad->text +
                      ". To go back: slotctl rollback --env " + request.environment};
      return *open;
    }
  }
  if (auto open = emptied(seen, request, old)) return *open;
  Commit commit{slots, "finalize: " + slot_text(slots, old) + " to 0", "finalize", old};
  commit.slots.of(old).running = false;
  commit.slots.of(old).min_replicas.reset();
  commit.slots.of(slots.active).min_replicas.reset();
  commit.slots.migrate = true;
  return commit;
}

Decision decide_rollback(const Observed& seen, const Request& request) {
  const auto& slots = seen.git.slots;
  const auto& history = seen.git.history;
  const auto next = other(slots.active);
  // Where the operator names the slot, that is where it ends; else the slot before the last switch, once.
  if (request.slot == slots.active) return finish_rollback(seen, request);
  if (!request.slot) {
    if (history.last_step == "rollback" || (history.rolled_back && history.standby))
      return finish_rollback(seen, request);
    if (slots.of(next).running && !history.standby && history.last_step != "rollback-warm") return give_up(seen, next);
    if (history.rolled_back && history.last_step != "rollback-warm")
      return Refuse{slot_text(slots, slots.active) + " is what was rolled back to, and " + slot_text(slots, next) +
                    " what it was rolled back from. To go there all the same: --to " + std::string(slot_name(next))};
  }
  return warm_then_switch(seen, request, next);
}

}  // namespace detection::slotctl
