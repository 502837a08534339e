#include "slotctl/driver.hpp"

#include <algorithm>

namespace detection::slotctl {

/// One step under way. What is in it is either seen anew with every look, or only paces it.
struct Driver::Run {
  Step step;
  Request request;
  Observed seen{};
  Thresholds limits{};
  double began_s = 0;
  double away_since_s = 0;     ///< of Git or the cluster; 0: it is there
  double metrics_since_s = 0;  ///< the same of Prometheus
  double refreshed_s = 0;
  double trouble_since_s = 0;
  double hook_trouble_since_s = 0;
  std::string trouble{};
  std::string last_text{};
  std::string bad{};  ///< why the watch rolls back
  Slot bad_slot{};    ///< what it rolls back from
  std::optional<double> bad_switched_s{};
  std::vector<std::string> commits{};
};

namespace {

bool watches(Step step) {
  return step == Step::kWatch || step == Step::kFinalize;
}

}  // namespace

bool Driver::overtaken(const Run& run) {
  const auto& git = run.seen.git;
  if (run.bad.empty() || !run.commits.empty() || git.slots.active != run.bad_slot) return false;
  return !git.history.standby || git.history.switched_s != run.bad_switched_s;
}

Driver::Driver(Doors doors, DriverOptions options) : doors_(doors), options_(options), began_s_(doors.time.now_s()) {}

Outcome Driver::ended(const Run& run, bool done, std::string text) const {
  return {run.step, done, std::move(text), doors_.time.now_s() - run.began_s, run.commits, {}};
}

void Driver::pause(Run& run, double seconds) {
  doors_.time.sleep_s(seconds);
  // What a pod or Prometheus said holds for one moment.
  run.seen.reports.reset();
  run.seen.judgement.reset();
}

Result<Observed> observe(Repository& repository, Cluster& cluster) {
  auto git = repository.read();
  if (!git) return std::unexpected(git.error());
  auto state = cluster.read();
  if (!state) return std::unexpected(state.error());
  auto& app = state->application;
  app.revision_has_wanted = repository.contains(app.revision, git->wanted);
  app.phase_has_wanted = repository.contains(app.phase_revision, git->wanted);
  app.hooks_skipped =
      app.phase_partial && app.phase_has_wanted && !repository.contains(app.whole_revision, git->wanted);
  Observed seen;
  seen.git = std::move(*git);
  seen.cluster = std::move(*state);
  return seen;
}

Result<void> Driver::look(Run& run) {
  auto now = observe(doors_.repository, doors_.cluster);
  if (!now) return std::unexpected(now.error());
  auto& seen = run.seen;
  seen.now_s = doors_.time.now_s();
  seen.began_s = began_s_;
  // A refresh may be lost on its way: it is asked for again, but not at every look.
  if (seen.now_s - run.refreshed_s < options_.refresh_s) now->cluster.application.refresh_pending = true;
  if (now->git.wanted != seen.git.wanted) seen.smoke.reset();
  seen.git = std::move(now->git);
  seen.cluster = std::move(now->cluster);
  const auto& trouble = seen.cluster.of(other(seen.git.slots.active)).trouble;
  if (trouble != run.trouble || trouble.empty()) run.trouble_since_s = seen.now_s;
  run.trouble = trouble;
  seen.trouble_for_s = seen.now_s - run.trouble_since_s;
  if (seen.cluster.hook_trouble.empty()) run.hook_trouble_since_s = seen.now_s;
  seen.hook_trouble_for_s = seen.now_s - run.hook_trouble_since_s;
  return {};
}

void Driver::judge_now(Run& run) {
  auto& seen = run.seen;
  const auto began_s = watch_began_s(seen).value_or(seen.now_s);
  const auto active = seen.git.slots.active;
  auto now = doors_.metrics.figures(active, 0, run.limits.window_s);
  auto before = now ? doors_.metrics.figures(other(active), seen.git.history.switched_s.value_or(began_s),
                                             5 * run.limits.window_s)
                    : now;
  seen.now_s = doors_.time.now_s();
  if (!now || !before) {
    if (run.metrics_since_s == 0) run.metrics_since_s = seen.now_s;
    seen.metrics_away_s = seen.now_s - run.metrics_since_s;
    seen.judgement = Judgement{Verdict::kUnknown, now ? before.error().detail : now.error().detail};
    return;
  }
  run.metrics_since_s = 0;
  seen.metrics_away_s = 0;
  seen.judgement = judge({*now, *before, restarts_since(seen.cluster.of(active), began_s)}, run.limits);
}

std::optional<Outcome> Driver::push(Run& run, const Commit& commit) {
  if (options_.dry_run) {
    auto preview = doors_.repository.preview(run.seen.git.head, commit.slots);
    if (!preview) return ended(run, false, preview.error().detail);
    auto outcome = ended(run, true, "would commit: " + commit.subject);
    outcome.preview = std::move(*preview);
    return outcome;
  }
  doors_.listener.says(run.step, "commit: " + commit.subject);
  const auto pushed =
      doors_.repository.push(run.seen.git.head, commit.slots, commit_message(commit, run.request.environment));
  if (!pushed) return ended(run, false, pushed.error().detail);
  if (*pushed) {
    run.commits.push_back(commit.subject);
    run.last_text = "committed was: " + commit.subject;
    run.refreshed_s = 0;
  } else {
    doors_.listener.says(run.step, "somebody else's commit came first; looking again");
  }
  return std::nullopt;
}

std::optional<Outcome> Driver::act(Run& run, const Decision& decision) {
  struct Visitor {
    Driver& self;
    Run& run;
    using Next = std::optional<Outcome>;

    Next operator()(const Done& d) {
      if (!run.bad.empty()) return self.ended(run, false, "rolled back, since " + run.bad + "; " + d.text);
      return self.ended(run, true, d.text);
    }
    Next operator()(const Refuse& d) { return self.ended(run, false, d.text); }
    Next operator()(const Wait& d) {
      run.last_text = d.text;
      if (self.options_.dry_run) return self.ended(run, false, "would wait: " + d.text);
      self.doors_.listener.says(run.step, d.text);
      const bool watching = watches(run.step) && run.seen.judgement && run.bad.empty();
      self.pause(run, watching ? run.limits.interval_s : self.options_.pause_s);
      return std::nullopt;
    }
    Next operator()(const Commit& d) { return self.push(run, d); }
    Next operator()(const EndSync&) {
      if (self.options_.dry_run) return self.ended(run, false, "would end the sync of an older commit that is running");
      const auto& app = run.seen.cluster.application;
      self.doors_.listener.says(run.step,
                                "ending the sync of " + short_revision(app.phase_revision) + ", which is older");
      return self.asked(run, self.doors_.cluster.end_sync(app));
    }
    Next operator()(const Refresh&) {
      if (self.options_.dry_run) return self.ended(run, false, "would ask Argo CD to look at the branch");
      self.doors_.listener.says(run.step, "asking Argo CD to look at " + short_revision(run.seen.git.wanted));
      run.refreshed_s = self.doors_.time.now_s();
      return self.asked(run, self.doors_.cluster.refresh());
    }
    Next operator()(const StartSync& d) {
      if (self.options_.dry_run) return self.ended(run, false, "would start " + d.what);
      self.doors_.listener.says(run.step, "starting " + d.what);
      const auto taken = self.doors_.cluster.start_sync(run.seen.cluster.application, run.seen.git.wanted);
      run.seen.sync_started = taken.value_or(false);
      return self.asked(run, taken);
    }
    Next operator()(const RunSmoke& d) {
      self.doors_.listener.says(run.step, "smoke in " + std::to_string(run.seen.cluster.of(d.slot).names.size()) +
                                              " pods of " + std::string(slot_name(d.slot)));
      run.seen.smoke = self.doors_.cluster.smoke(run.seen.cluster, d.slot, run.seen.git.slots.of(d.slot).image);
      return std::nullopt;
    }
    Next operator()(const AskPods& d) {
      run.seen.reports = self.doors_.cluster.ask_pods(run.seen.cluster, d.slot);
      return std::nullopt;
    }
    Next operator()(const Judge&) {
      self.judge_now(run);
      return std::nullopt;
    }
    Next operator()(const RollBack& d) {
      if (self.options_.dry_run) return self.ended(run, false, "would roll back: " + d.text);
      if (!self.options_.roll_back) return self.ended(run, false, d.text);
      self.doors_.listener.says(run.step, "rolling back: " + d.text);
      run.bad = d.text;
      run.bad_slot = run.seen.git.slots.active;
      run.bad_switched_s = run.seen.git.history.switched_s;
      return std::nullopt;
    }
  };
  return std::visit(Visitor{*this, run}, decision);
}

std::optional<Outcome> Driver::asked(Run& run, const Result<bool>& result) {
  if (!result) doors_.listener.says(run.step, result.error().detail);
  pause(run, std::min(options_.pause_s, 0.5));
  return std::nullopt;
}

Outcome Driver::run(Step step, const Request& request) {
  Run run{step, request};
  run.began_s = doors_.time.now_s();
  run.trouble_since_s = run.hook_trouble_since_s = run.began_s;
  doors_.listener.begins(step);
  double most_s = options_.most_s;
  if (watches(step)) {
    auto limits = doors_.repository.thresholds();
    if (!limits) return ended(run, false, limits.error().detail);
    run.limits = *limits;
    run.request.watch_s = limits->duration_s;
    run.request.metrics_away_most_s = limits->metrics_away_most_s;
    most_s += limits->duration_s;
  }
  for (;;) {
    const double now_s = doors_.time.now_s();
    if (now_s - run.began_s > most_s)
      return ended(run, false,
                   "not done after " + std::to_string(static_cast<long>(most_s)) + " s: " + run.last_text +
                       ". Nothing is lost: the same command goes on from here");
    if (const auto looked = look(run); !looked) {
      run.last_text = looked.error().detail;
      if (run.away_since_s == 0) run.away_since_s = now_s;
      if (now_s - run.away_since_s >= options_.away_most_s || options_.dry_run)
        return ended(run, false, looked.error().detail);
      doors_.listener.says(step, looked.error().detail);
      pause(run, options_.pause_s);
      continue;
    }
    run.away_since_s = 0;
    if (overtaken(run))
      return ended(run, false, run.bad + "; somebody else has changed the release meanwhile: nothing was rolled back");
    const auto next = decide(run.bad.empty() ? step : Step::kRollback, run.seen, run.request);
    if (auto outcome = act(run, next)) return std::move(*outcome);
  }
}

std::vector<Outcome> Driver::run_all(std::span<const Step> steps, const Request& request) {
  std::vector<Outcome> outcomes;
  for (const auto step : steps) {
    outcomes.push_back(run(step, request));
    // A dry run says what would come next: after the first change nothing more can be seen.
    if (!outcomes.back().done || !outcomes.back().preview.empty()) break;
  }
  return outcomes;
}

std::string commit_message(const Commit& commit, const std::string& environment) {
  return "release(" + environment + "): " + commit.subject + "\n\n" + std::string(kStepTrailer) + commit.step +
         "\nRelease-Environment: " + environment + "\nRelease-Slot: " + std::string(slot_name(commit.slot)) + "\n";
}

}  // namespace detection::slotctl
