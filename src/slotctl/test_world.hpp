#pragma once
// A made-up Git, Argo CD, cluster and Prometheus behind the driver's doors. Time passes only while the driver sleeps.
// At a call that the test chooses the driver "is killed": before the call has any effect, or after it had its effect
// but before the driver hears of it. Test-only.

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "slotctl/driver.hpp"

namespace detection::slotctl::test {

struct Killed {};

enum class KillWhen : std::uint8_t { kBefore, kAfter };

inline Slots at_rest(const std::string& tag = "v1") {
  Slots slots;
  slots.blue = {true, std::nullopt, {"", tag, ""}, {}};
  return slots;
}

class World {
 public:
  explicit World(Slots first = at_rest()) {
    commit(std::move(first), "the beginning");
    synced = wanted = commits.size() - 1;
    apply(synced);
    for (auto& slot : pods) slot.ready = slot.wanted;
  }

  // ---- Git
  std::vector<Version> commits;
  void commit(Slots slots, std::string message) {
    commits.push_back({"r" + std::to_string(commits.size()), now_s, std::move(message), std::move(slots)});
  }
  [[nodiscard]] const Slots& slots() const { return commits.back().slots; }
  [[nodiscard]] std::size_t index_of(const std::string& revision) const { return std::stoul(revision.substr(1)); }

  // ---- Argo CD: one operation at a time; a refresh looks at the newest commit
  std::size_t synced = 0, wanted = 0;
  bool refresh = false, argocd_away = false, auto_sync = true;
  std::string phase = "Succeeded";
  std::size_t phase_of = 0;
  double phase_ends_s = 0, phase_finished_s = 0, sync_takes_s = 3;
  int hook_fails = 0;     ///< so many syncs fail at the fence
  int conflicts = 0;      ///< so many syncs that are asked for are refused: the Application has changed meanwhile
  int hooks_skipped = 0;  ///< so many of Argo CD's own syncs take single resources
  bool phase_partial = false;
  std::size_t whole = 0;  ///< of the last sync of everything

  // ---- the cluster
  struct Pods {
    int wanted = 0, ready = 0, leaving = 0;
    std::string tag;
    long spool = 0;
  };
  std::array<Pods, 2> pods{};
  Slot serving = Slot::kBlue, fence = Slot::kBlue;
  double service_changed_s = 0;
  bool autoscaled = true;
  int live_load = 3;  ///< pods that the autoscaler of the live slot wants
  std::set<std::string> bad_images, bad_smoke, bad_figures;
  bool database_away = false, kubernetes_away = false, git_away = false, prometheus_away = false;
  std::vector<std::string> wrong;  ///< what must never happen and did

  // ---- time
  double now_s = 1000;
  Pods& of(Slot slot) { return pods[static_cast<std::size_t>(slot)]; }

  void pass(double seconds) {
    for (double left = seconds; left > 0; left -= 0.5) {
      now_s += 0.5;
      step();
    }
  }

  // ---- the kill
  int calls = 0, kill_at = -1;
  KillWhen kill_when = KillWhen::kBefore;
  /// Runs a call that the driver makes.
  template <class Effect>
  auto call(Effect effect) {
    const bool now = calls++ == kill_at;
    if (now && kill_when == KillWhen::kBefore) throw Killed{};
    auto result = effect();
    if (now) throw Killed{};
    return result;
  }

 private:
  void apply(std::size_t index) {
    const auto& slots = commits[index].slots;
    for (const auto slot : {Slot::kBlue, Slot::kGreen}) {
      const auto& values = slots.of(slot);
      auto& there = of(slot);
      if (!values.running && there.ready > 0 && there.spool > 0) wrong.emplace_back("a slot went to 0 with its spool");
      if (!values.running && serving == slot && index > 0) wrong.emplace_back("the slot that serves went to 0");
      if (values.image.tag != there.tag) there.ready = 0;
      there.tag = values.image.tag;
      there.wanted = values.running ? (autoscaled ? values.min_replicas.value_or(3) : 1) : 0;
      if (autoscaled && values.running && slots.active == slot) there.wanted = std::max(there.wanted, live_load);
      if (there.ready > there.wanted) there.leaving += there.ready - there.wanted;
      there.ready = std::min(there.ready, there.wanted);
    }
    if (serving != slots.active) {
      if (of(slots.active).ready < of(serving).ready && of(serving).ready > 0)
        wrong.emplace_back("traffic went to a smaller slot");
      if (bad_smoke.contains(of(slots.active).tag))
        wrong.emplace_back("traffic went to a slot that fails its smoke test");
      service_changed_s = now_s;
    }
    serving = slots.active;
    if (phase_partial) return;
    fence = slots.active;
    whole = index;
  }

  void step() {
    for (auto& slot : pods) {
      slot.leaving = std::max(0, slot.leaving - 1);
      if (slot.ready < slot.wanted && !bad_images.contains(slot.tag)) ++slot.ready;
      if (!database_away) slot.spool = std::max(0L, slot.spool - 1);
    }
    if (argocd_away) return;
    if (phase == "Terminating") finish("Failed");
    if (phase == "Running" && now_s >= phase_ends_s) {
      // A new slot that does not become ready holds its wave.
      const auto& slots_then = commits[phase_of].slots;
      const auto next = other(slots_then.active);
      if (slots_then.of(next).running && bad_images.contains(slots_then.of(next).image.tag)) {
        auto& there = of(next);
        there = {3, 0, 0, slots_then.of(next).image.tag, there.spool};
      } else if (hook_fails > 0) {
        --hook_fails;
        finish("Failed");
      } else {
        apply(phase_of);
        synced = phase_of;
        finish("Succeeded");
      }
    }
    if (refresh) {
      refresh = false;
      wanted = commits.size() - 1;
    }
    const bool failed_here = phase == "Failed" && phase_of == wanted;
    if (phase != "Running" && synced != wanted && !failed_here && auto_sync) {
      begin(wanted);
      phase_partial = hooks_skipped > 0 && hooks_skipped-- > 0;
    }
  }

 public:
  void begin(std::size_t index) {
    phase = "Running";
    phase_partial = false;
    phase_of = index;
    phase_ends_s = now_s + sync_takes_s;
  }
  void finish(std::string how) {
    phase = std::move(how);
    phase_finished_s = now_s;
  }
};

class FakeRepository final : public Repository {
 public:
  explicit FakeRepository(World& world) : w_(world) {}
  Result<GitState> read() override {
    return w_.call([&]() -> Result<GitState> {
      if (w_.git_away) return fail(ErrorCode::kStoreUnavailable, "Git is away");
      std::vector<Version> newest(w_.commits.rbegin(), w_.commits.rend());
      return GitState{newest.front().revision, newest.front().revision, newest.front().slots, history_of(newest)};
    });
  }
  Result<Thresholds> thresholds() override { return limits; }
  Result<bool> push(const std::string& base, const Slots& slots, const std::string& message) override {
    if (before_push) std::exchange(before_push, nullptr)();
    return w_.call([&]() -> Result<bool> {
      if (w_.git_away) return fail(ErrorCode::kStoreUnavailable, "Git is away");
      if (base != w_.commits.back().revision) return false;
      w_.commit(slots, message);
      return true;
    });
  }
  Result<std::string> preview(const std::string&, const Slots& slots) override { return format_slots(slots, "prod"); }
  bool contains(const std::string& revision, const std::string& ancestor) override {
    return !revision.empty() && !ancestor.empty() && w_.index_of(revision) >= w_.index_of(ancestor);
  }
  Result<Image> live_image(const std::string&) override { return w_.slots().of(w_.slots().active).image; }

  Thresholds limits{.duration_s = 300,
                    .interval_s = 5,
                    .window_s = 60,
                    .metrics_away_most_s = 60,
                    .requests_least = 20,
                    .error_ratio_most = 0.01,
                    .latency_p95_most_s = 0.5,
                    .tak_p95_most_s = 2,
                    .queue_growth_most = 1000,
                    .restarts_most = 0,
                    .error_ratio_over = 0.005,
                    .latency_factor_most = 3,
                    .latency_floor_s = 0.1,
                    .green_ratio_under = 0.05};
  std::function<void()> before_push;  ///< somebody else, once

 private:
  World& w_;
};

class FakeCluster final : public Cluster {
 public:
  explicit FakeCluster(World& world) : w_(world) {}
  Result<ClusterState> read() override {
    return w_.call([&]() -> Result<ClusterState> {
      if (w_.kubernetes_away) return fail(ErrorCode::kStoreUnavailable, "the Kubernetes API cannot be reached");
      ClusterState s;
      s.application = {.exists = true,
                       .auto_sync = w_.auto_sync,
                       .sync_status = w_.synced == w_.wanted ? "Synced" : "OutOfSync",
                       .revision = w_.commits[w_.wanted].revision,
                       .health = "Healthy",
                       .phase = w_.phase,
                       .phase_revision = w_.commits[w_.phase_of].revision,
                       .message = w_.phase == "Failed" ? "Job fence failed" : "",
                       .finished_s = w_.phase_finished_s,
                       .resource_version = "1",
                       .refresh_pending = w_.refresh,
                       .unsynced = {},
                       .phase_partial = w_.phase_partial,
                       .whole_revision = w_.commits[w_.whole].revision};
      for (const auto slot : {Slot::kBlue, Slot::kGreen}) {
        const auto& there = w_.of(slot);
        auto& pods = s.of(slot);
        pods = {.exists = true,
                .wanted = there.wanted,
                .ready = there.ready,
                .pods = there.ready + there.leaving,
                .rolled_out = there.ready == there.wanted,
                .image = there.tag,
                .trouble = w_.bad_images.contains(there.tag) && there.wanted > 0 ? "ImagePullBackOff" : ""};
        for (int i = 0; i < there.ready; ++i)
          pods.names.push_back(std::string(slot_name(slot)) + there.tag + std::to_string(i));
        pods.present = pods.names;
        if (w_.autoscaled && there.wanted > 0) pods.autoscaler_least = 3, pods.autoscaler_most = 10;
      }
      s.serving = w_.serving;
      s.service_changed_s = w_.service_changed_s;
      return s;
    });
  }
  Result<bool> refresh() override {
    return w_.call([&]() -> Result<bool> {
      w_.refresh = true;
      return true;
    });
  }
  Result<bool> end_sync(const Application&) override {
    return w_.call([&]() -> Result<bool> {
      if (w_.phase == "Running") w_.phase = "Terminating";
      return true;
    });
  }
  Result<bool> start_sync(const Application&, const std::string& revision) override {
    return w_.call([&]() -> Result<bool> {
      if (w_.conflicts > 0 && w_.conflicts-- > 0) return false;
      w_.begin(w_.index_of(revision));
      return true;
    });
  }
  SmokeResult smoke(const ClusterState& seen, Slot slot, const Image& image) override {
    return w_.call([&] {
      const bool good = !w_.bad_smoke.contains(image.tag) && !seen.of(slot).names.empty();
      return SmokeResult{slot, seen.of(slot).names, good, good ? "7 of 7" : "ready: 503"};
    });
  }
  PodReports ask_pods(const ClusterState& seen, Slot slot) override {
    return w_.call([&] {
      PodReports reports{slot, {}};
      for (const auto& name : seen.of(slot).present)
        reports.pods.push_back({name, "", true, !w_.database_away, w_.of(slot).spool, w_.fence, w_.fence == slot});
      return reports;
    });
  }

 private:
  World& w_;
};

class FakeMetrics final : public Metrics {
 public:
  explicit FakeMetrics(World& world) : w_(world) {}
  Result<Figures> figures(Slot slot, double, double) override {
    return w_.call([&]() -> Result<Figures> {
      if (w_.prometheus_away) return fail(ErrorCode::kStoreUnavailable, "Prometheus does not answer");
      const bool bad = w_.bad_figures.contains(w_.of(slot).tag);
      return Figures{1000, bad ? 0.1 : 0.0, 0.01, 0.1, 0.9, 0.0};
    });
  }

 private:
  World& w_;
};

class FakeTime final : public Time {
 public:
  explicit FakeTime(World& world) : w_(world) {}
  double now_s() override { return w_.now_s; }
  void sleep_s(double seconds) override { w_.pass(seconds); }

 private:
  World& w_;
};

class Heard final : public Listener {
 public:
  void begins(Step) override {}
  void says(Step, const std::string& text) override { texts.push_back(text); }
  std::vector<std::string> texts;
};

/// A driver on a world, as one process is.
struct Process {
  explicit Process(World& world, DriverOptions options = {})
      : repository(world),
        cluster(world),
        metrics(world),
        time(world),
        driver({repository, cluster, metrics, time, heard}, options) {}
  FakeRepository repository;
  FakeCluster cluster;
  FakeMetrics metrics;
  FakeTime time;
  Heard heard;
  Driver driver;
};

inline Request request_for(const std::string& tag) {
  Request request{.environment = "prod", .application = "detection-api-prod"};
  if (!tag.empty()) request.image = Image{"", tag, ""};
  return request;
}

inline constexpr std::array kRelease{Step::kDeploy, Step::kSmoke, Step::kSwitch, Step::kWatch, Step::kFinalize};

}  // namespace detection::slotctl::test
