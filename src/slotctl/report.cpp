#include "slotctl/report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

#include "detection/json_writer.hpp"
#include "detection/time.hpp"

namespace detection::slotctl {
namespace {

std::string time_text(double time_s) {
  return format_rfc3339_ms({static_cast<std::int64_t>(time_s * 1e6)});
}

std::string tenths(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

void pair(json::Writer& w, std::string_view key, std::string_view value) {
  w.key(key);
  w.string(value);
}

void number_or_null(json::Writer& w, std::string_view key, const std::optional<double>& value) {
  w.key(key);
  if (value)
    w.number(*value);
  else
    w.null();
}

void slot_json(json::Writer& w, const Observed& seen, Slot slot) {
  const auto& values = seen.git.slots.of(slot);
  const auto& pods = seen.cluster.of(slot);
  w.key(slot_name(slot));
  w.begin_object();
  pair(w, "state", values.running ? "running" : "idle");
  w.key("image");
  w.begin_object();
  pair(w, "repository", values.image.repository);
  pair(w, "tag", values.image.tag);
  pair(w, "digest", values.image.digest);
  w.end_object();
  w.key("pods");
  w.begin_object();
  w.key("wanted");
  w.integer(pods.wanted);
  w.key("ready");
  w.integer(pods.ready);
  w.key("all");
  w.integer(pods.pods);
  w.end_object();
  pair(w, "trouble", pods.trouble);
  w.end_object();
}

std::string slot_line(const Observed& seen, Slot slot) {
  const auto& values = seen.git.slots.of(slot);
  const auto& pods = seen.cluster.of(slot);
  std::string line = std::string(slot_name(slot)) + (slot == Slot::kBlue ? "   " : "  ");
  line += slot == seen.git.slots.active ? "live     "
          : values.running              ? (seen.git.history.standby ? "standby  " : "warming  ")
                                        : "idle     ";
  line +=
      values.image.text() + ", " + std::to_string(pods.ready) + " of " + std::to_string(pods.wanted) + " pods ready";
  if (!pods.trouble.empty()) line += "; " + pods.trouble;
  return line + "\n";
}

std::string next_of(const Observed& seen, const Request& request) {
  const auto phase = phase_of(seen.git);
  const auto with = [&](std::string_view step) {
    return "slotctl " + std::string(step) + " --env " + request.environment;
  };
  if (phase == "warming") return with("smoke") + ", " + with("switch") + "; or " + with("rollback") + " gives it up";
  if (phase == "watching") return with("watch") + ", " + with("finalize") + "; or " + with("rollback");
  if (phase == "rolled back") return with("finalize");
  return with("deploy") + " --tag COMMIT --digest sha256:...";
}

}  // namespace

std::string phase_of(const GitState& git) {
  if (!git.slots.of(other(git.slots.active)).running) return "at rest";
  if (!git.history.standby) return "warming";
  return git.history.rolled_back ? "rolled back" : "watching";
}

std::vector<std::string> drift_of(const Observed& seen) {
  std::vector<std::string> drift;
  const auto& app = seen.cluster.application;
  const std::string active(slot_name(seen.git.slots.active));
  if (!app.exists) drift.emplace_back("Argo CD has no such Application");
  if (app.exists && !app.auto_sync) drift.emplace_back("auto-sync is paused");
  if (app.exists && !app.revision_has_wanted)
    drift.push_back("the cluster is at " + short_revision(app.revision) + ", Git at " +
                    short_revision(seen.git.wanted));
  if (app.hooks_skipped) drift.emplace_back("Git's commit got there without migration and fence: run its step again");
  for (const auto& one : app.unsynced) drift.push_back(one + " is not as Git says");
  if (seen.cluster.serving && seen.cluster.serving != seen.git.slots.active)
    drift.push_back("the Service selects " + std::string(slot_name(*seen.cluster.serving)) + ", Git says " + active);
  return drift;
}

std::string status_text(const Observed& seen, const Request& request) {
  const auto& app = seen.cluster.application;
  std::string out =
      request.environment + ": " + phase_of(seen.git) + ", commit " + short_revision(seen.git.wanted) + "\n";
  out += slot_line(seen, Slot::kBlue) + slot_line(seen, Slot::kGreen);
  if (const auto& since = seen.git.history.switched_s)
    out += "switched " + time_text(*since) + (seen.git.history.rolled_back ? " by a rollback\n" : "\n");
  out += "Argo CD " + (app.exists ? app.sync_status + ", " + app.health + ", at " + short_revision(app.revision)
                                  : "has no " + request.application);
  if (!app.phase.empty()) out += "; last sync " + app.phase + " (" + short_revision(app.phase_revision) + ")";
  out += "\n";
  for (const auto& one : drift_of(seen)) out += "DRIFT   " + one + "\n";
  return out + "next    " + next_of(seen, request) + "\n";
}

std::string status_json(const Observed& seen, const Request& request) {
  std::string out;
  json::Writer w(out);
  const auto& app = seen.cluster.application;
  w.begin_object();
  pair(w, "environment", request.environment);
  pair(w, "phase", phase_of(seen.git));
  pair(w, "revision", seen.git.wanted);
  pair(w, "active", slot_name(seen.git.slots.active));
  w.key("serving");
  if (seen.cluster.serving)
    w.string(slot_name(*seen.cluster.serving));
  else
    w.null();
  number_or_null(w, "switched_at", seen.git.history.switched_s);
  w.key("rolled_back");
  w.boolean(seen.git.history.rolled_back);
  w.key("slots");
  w.begin_object();
  slot_json(w, seen, Slot::kBlue);
  slot_json(w, seen, Slot::kGreen);
  w.end_object();
  w.key("argocd");
  w.begin_object();
  pair(w, "application", request.application);
  pair(w, "sync", app.sync_status);
  pair(w, "health", app.health);
  pair(w, "revision", app.revision);
  pair(w, "last_sync", app.phase);
  w.end_object();
  w.key("drift");
  w.begin_array();
  for (const auto& one : drift_of(seen)) w.string(one);
  w.end_array();
  pair(w, "next", next_of(seen, request));
  w.end_object();
  return out + "\n";
}

std::string verify_text(const std::vector<Check>& checks) {
  std::string out;
  for (const auto& check : checks) {
    auto name = check.name;
    name.resize(std::max<std::size_t>(name.size(), 22), ' ');
    out += (check.passed ? "ok      " : "FAILED  ") + name + "  " + check.text + "\n";
  }
  const auto passed = std::ranges::count(checks, true, &Check::passed);
  return out + std::to_string(passed) + " of " + std::to_string(checks.size()) + " passed\n";
}

std::string verify_json(const std::vector<Check>& checks, const GitState& git, const std::string& environment) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("passed");
  w.boolean(std::ranges::all_of(checks, &Check::passed));
  pair(w, "environment", environment);
  pair(w, "revision", git.wanted);
  pair(w, "active", slot_name(git.slots.active));
  w.key("checks");
  w.begin_array();
  for (const auto& check : checks) {
    w.begin_object();
    pair(w, "name", check.name);
    w.key("passed");
    w.boolean(check.passed);
    pair(w, "text", check.text);
    w.end_object();
  }
  w.end_array();
  w.end_object();
  return out + "\n";
}

std::string outcomes_text(const std::vector<Outcome>& outcomes) {
  std::string out;
  double all_s = 0;
  for (const auto& one : outcomes) {
    auto name = std::string(step_name(one.step));
    name.resize(10, ' ');
    auto took = tenths(one.seconds) + " s";
    took.insert(0, took.size() < 10 ? 10 - took.size() : 0, ' ');
    out += (one.done ? "ok      " : "FAILED  ") + name + took + "  " + one.text + "\n";
    if (!one.preview.empty()) out += one.preview + "\n";
    all_s += one.seconds;
  }
  if (outcomes.size() > 1) out += "together " + tenths(all_s) + " s\n";
  return out;
}

std::string outcomes_json(const std::vector<Outcome>& outcomes, const Request& request) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("done");
  w.boolean(!outcomes.empty() && std::ranges::all_of(outcomes, &Outcome::done));
  pair(w, "environment", request.environment);
  w.key("seconds");
  w.number(std::accumulate(outcomes.begin(), outcomes.end(), 0.0,
                           [](double sum, const Outcome& one) { return sum + one.seconds; }));
  w.key("steps");
  w.begin_array();
  for (const auto& one : outcomes) {
    w.begin_object();
    pair(w, "step", step_name(one.step));
    w.key("done");
    w.boolean(one.done);
    pair(w, "text", one.text);
    w.key("seconds");
    w.number(one.seconds);
    w.key("commits");
    w.begin_array();
    for (const auto& subject : one.commits) w.string(subject);
    w.end_array();
    if (!one.preview.empty()) pair(w, "preview", one.preview);
    w.end_object();
  }
  w.end_array();
  w.end_object();
  return out + "\n";
}

}  // namespace detection::slotctl
