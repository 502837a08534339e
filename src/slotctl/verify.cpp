// The post-deployment matrix: what must hold of the live slot, each row from what was seen.

#include <algorithm>

#include "slotctl/report.hpp"

namespace detection::slotctl {
namespace {

std::string of(std::ptrdiff_t count, std::size_t all) {
  return std::to_string(count) + " of " + std::to_string(all);
}

Check argocd(const Observed& seen) {
  const auto& app = seen.cluster.application;
  const bool whole = app.revision_has_wanted && app.sync_status == "Synced" && !app.hooks_skipped;
  return {"Argo CD", app.exists && whole && app.health == "Healthy",
          app.exists ? app.sync_status + ", " + app.health + ", at " + short_revision(app.revision) +
                           " (Git: " + short_revision(seen.git.wanted) +
                           (app.hooks_skipped ? "; without migration and fence)" : ")")
                     : "there is no Application"};
}

Check standby(const Observed& seen) {
  const auto slot = other(seen.git.slots.active);
  const auto& pods = seen.cluster.of(slot);
  const bool running = seen.git.slots.of(slot).running;
  return {"other slot", running ? pods.ready > 0 : pods.pods == 0,
          std::string(slot_name(slot)) + (running ? " runs: " : " is idle: ") + std::to_string(pods.ready) +
              " ready of " + std::to_string(pods.pods) + " pods"};
}

Check figures(const VerifyEvidence& e) {
  if (!e.now) return {"error share", false, e.now.error().detail};
  const auto judged = judge({*e.now, {.queue_items = e.now->queue_items}, 0}, e.limits);
  return {"figures", judged.verdict == Verdict::kGood, judged.text};
}

Check queue(const VerifyEvidence& e) {
  if (!e.now || !e.before) return {"queue", false, e.now ? e.before.error().detail : e.now.error().detail};
  if (!e.now->queue_items) return {"queue", false, "no figure: is the slot scraped?"};
  const double grown = *e.now->queue_items - e.before->queue_items.value_or(0);
  return {"queue", *e.now->queue_items == 0 || grown <= e.limits.queue_growth_most,
          std::to_string(static_cast<long>(*e.now->queue_items)) + " wait, " +
              std::to_string(static_cast<long>(grown)) + " more than a window ago"};
}

}  // namespace

std::vector<Check> verify(const VerifyEvidence& e) {
  const auto& seen = e.seen;
  const auto active = seen.git.slots.active;
  const std::string name(slot_name(active));
  const auto& pods = seen.cluster.of(active);
  const auto& reports = seen.reports ? seen.reports->pods : std::vector<PodReport>{};
  const auto all = reports.size();
  const auto ready = std::ranges::count_if(reports, [](const PodReport& p) { return p.error.empty() && p.ready; });
  const auto stored =
      std::ranges::count_if(reports, [](const PodReport& p) { return p.store_writable && p.spool_items == 0; });
  const auto fenced =
      std::ranges::count_if(reports, [&](const PodReport& p) { return p.active_slot == active && p.delivers; });
  const bool any = all > 0;
  return {argocd(seen),
          {"pods", pods.ready > 0 && pods.ready == pods.wanted && pods.rolled_out,
           name + ": " + std::to_string(pods.ready) + " of " + std::to_string(pods.wanted) + " ready" +
               (pods.trouble.empty() ? "" : "; " + pods.trouble)},
          {"traffic", seen.cluster.serving == active,
           "the Service selects " +
               (seen.cluster.serving ? std::string(slot_name(*seen.cluster.serving)) : std::string("nothing")) +
               ", Git says " + name},
          {"fence", any && fenced == std::ssize(reports), of(fenced, all) + " pods deliver"},
          {"/ready", any && ready == std::ssize(reports), of(ready, all) + " pods answer 200"},
          {"database, spool", any && stored == std::ssize(reports),
           of(stored, all) + " pods write to the database and have an empty spool"},
          {"smoke", seen.smoke && seen.smoke->passed, seen.smoke ? seen.smoke->text : "not run"},
          figures(e),
          queue(e),
          standby(seen)};
}

}  // namespace detection::slotctl
