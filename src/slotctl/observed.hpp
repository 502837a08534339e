#pragma once
// What is seen of a release: Git, the cluster, its pods, its metrics. Plain values; the decisions (decide.hpp) look at
// nothing else. Times are seconds since 1970, in the clock of whoever wrote them down.

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slotctl/slots.hpp"

namespace detection::slotctl {

/// One version of the slots file, as the history of the branch has it.
struct Version {
  std::string revision{};
  double time_s = 0;
  std::string message{};
  Slots slots{};
};

/// What the history of the slots file says beyond its newest version.
struct History {
  std::optional<double> switched_s{};  ///< when the active slot became it; none: it always was
  bool rolled_back = false;            ///< it became it by a rollback
  /// The other slot has run ever since: it is what was live before the switch, and warm. A slot that runs without
  /// this is one that a release is warming.
  bool standby = false;
  std::optional<SlotValues> other_at_rest{};  ///< the other slot when it was idle last, since the switch
  std::string last_step{};                    ///< of the newest version, as kStepTrailer names it; empty: not ours
};

/// A line of each commit message: which step made it.
inline constexpr std::string_view kStepTrailer = "Release-Step: ";

/// `versions`: newest first, at least one; those before the last switch are not needed.
[[nodiscard]] History history_of(std::span<const Version> versions);

struct GitState {
  std::string head{};    ///< commit of the branch
  std::string wanted{};  ///< the newest commit that changed this environment's files: what the cluster must have
  Slots slots{};
  History history{};
};

/// Argo CD's Application.
struct Application {
  bool exists = false;
  bool auto_sync = false;  ///< automated, and not paused
  std::string sync_status{}, revision{}, health{};
  std::string phase{};           ///< of its last operation: "", Running, Terminating, Succeeded, Failed, Error
  std::string phase_revision{};  ///< the commit that operation is about
  std::string message{};         ///< of that operation
  double finished_s = 0;         ///< when it ended
  std::string resource_version{};
  bool refresh_pending = false;         ///< a refresh was asked for and not yet begun
  std::vector<std::string> unsynced{};  ///< "Kind name" of what differs from Git
  bool revision_has_wanted = false;     ///< GitState::wanted is `revision` or before it
  bool phase_has_wanted = false;        ///< the same of phase_revision
  std::string error{};                  ///< why it cannot even be compared: Git away, wrong manifests; empty: it can
  bool phase_partial = false;           ///< that operation synced single resources (self-healing): it ran no hooks
  std::string whole_revision{};         ///< the commit of the last sync of everything
  /// GitState::wanted got there by single resources alone: neither migration nor fence have run for it. Argo CD takes a
  /// new commit so when it could not be compared at first (its repository server was away), and leaves it at that.
  bool hooks_skipped = false;
};

/// One slot in the cluster.
struct SlotPods {
  bool exists = false;      ///< its Deployment
  int wanted = 0;           ///< pods that it should have
  int ready = 0;            ///< pods that are ready and not leaving
  int pods = 0;             ///< pods there are, also leaving ones
  bool rolled_out = false;  ///< every pod is of the newest template
  std::string image{};
  std::string trouble{};                   ///< why pods are missing, in the cluster's words; empty: no reason is given
  std::vector<std::string> names{};        ///< of the ready pods
  std::vector<std::string> present{};      ///< of all pods that are not leaving
  std::vector<double> container_ends_s{};  ///< when a container of a pod that is there ended last
  std::optional<int> autoscaler_least{}, autoscaler_most{};  ///< none: no autoscaler
};

struct ClusterState {
  Application application{};
  std::array<SlotPods, 2> slots{};
  std::optional<Slot> serving{};  ///< what the Service selects
  double service_changed_s = 0;   ///< when it was changed last
  /// Why a Job of the sync (migration, fence) does not run, in the cluster's words; empty: no reason is given.
  std::string hook_trouble{};
  [[nodiscard]] const SlotPods& of(Slot slot) const noexcept { return slots[static_cast<std::size_t>(slot)]; }
  [[nodiscard]] SlotPods& of(Slot slot) noexcept { return slots[static_cast<std::size_t>(slot)]; }
};

/// What a pod says of itself (`detection-api health --ready --json`, asked inside of it).
struct PodReport {
  std::string pod{};
  std::string error{};  ///< not empty: it could not be asked
  bool ready = false;
  bool store_writable = false;
  long spool_items = 0;
  std::optional<Slot> active_slot{};  ///< the fence, as this pod sees it
  bool delivers = false;
};

struct PodReports {
  Slot slot{};
  std::vector<PodReport> pods{};
};

/// The seven checks in each ready pod of a slot.
struct SmokeResult {
  Slot slot{};
  std::vector<std::string> pods{};
  bool passed = false;
  std::string text{};
};

/// What Prometheus says of one slot at one moment. None: no sample, so nothing can be said.
struct Figures {
  double requests = 0;  ///< in the window
  std::optional<double> error_ratio{}, latency_p95_s{}, tak_p95_s{}, green_ratio{}, queue_items{};
};

enum class Verdict : std::uint8_t { kGood, kBad, kUnknown };

struct Judgement {
  Verdict verdict = Verdict::kUnknown;
  std::string text{};  ///< the figures; for kBad first what was broken
};

struct Observed {
  GitState git{};
  ClusterState cluster{};
  std::optional<SmokeResult> smoke{};
  std::optional<PodReports> reports{};
  std::optional<Judgement> judgement{};
  double now_s = 0;
  double began_s = 0;             ///< when this run of slotctl began
  double trouble_for_s = 0;       ///< for how long the warming slot has been in the same trouble
  double hook_trouble_for_s = 0;  ///< for how long a Job of the sync has been in some
  double metrics_away_s = 0;      ///< for how long Prometheus has not answered
  bool sync_started = false;      ///< a failed sync was started anew by this run
};

}  // namespace detection::slotctl
