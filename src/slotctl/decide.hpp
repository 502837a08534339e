#pragma once
// The release driver's mind: what is seen -> what to do next. Pure: no clock, no I/O, no memory, so that a run which
// was killed anywhere goes on where the last one was, and every state can be tested.
//
//   deploy     the other slot gets a version and as many pods as the live one
//   smoke      the seven checks in each of its pods
//   switch     the Service and the fence move to it
//   watch      five minutes of figures; bad ones roll back
//   finalize   the old slot goes to 0, once it holds nothing
//   rollback   back to the slot before; to one at 0 by two commits: warm it, then switch

#include <map>
#include <optional>
#include <string>
#include <variant>

#include "slotctl/observed.hpp"

namespace detection::slotctl {

enum class Step : std::uint8_t { kDeploy, kSmoke, kSwitch, kWatch, kFinalize, kRollback };
[[nodiscard]] std::string_view step_name(Step step) noexcept;

/// What the operator asked for.
struct Request {
  std::string environment{};
  std::string application{};  ///< Argo CD's
  /// The release: image and, where given, settings of the slot (else those of the live one). Of deploy; and of the
  /// later steps of a whole release, which know by it what is done already.
  std::optional<Image> image{};
  std::optional<std::map<std::string, std::string>> config{};
  std::optional<Slot> slot{};        ///< smoke: of which; rollback: to which
  double watch_s = 300;              ///< how long a switch is watched
  double metrics_away_most_s = 60;   ///< Prometheus away for longer ends a watch
  bool without_watch = false;        ///< finalize without a watch that has passed
  bool without_spool_check = false;  ///< finalize although a pod of the old slot cannot be asked
};

struct Done {
  std::string text{};
};
/// A gate does not let it through; the text says what to do.
struct Refuse {
  std::string text{};
};
struct Wait {
  std::string text{};
};
/// A new version of the slots file, upon GitState::head and nothing else.
struct Commit {
  Slots slots{};
  std::string subject{};
  std::string step{};  ///< for kStepTrailer
  Slot slot{};         ///< whom it is about
};
/// End the running sync: it is about an older commit, and would hold the newer one up.
struct EndSync {};
/// Let Argo CD look at the branch now.
struct Refresh {};
/// Start a sync of all of GitState::wanted, hooks and all.
struct StartSync {
  std::string what{};  ///< in words, behind "starting"
};
/// Run the checks in the ready pods of a slot.
struct RunSmoke {
  Slot slot{};
};
/// Ask each pod of a slot.
struct AskPods {
  Slot slot{};
};
/// Ask Prometheus how the live slot is.
struct Judge {};
/// The watch has failed: roll back.
struct RollBack {
  std::string text{};
};
using Decision =
    std::variant<Done, Refuse, Wait, Commit, EndSync, Refresh, StartSync, RunSmoke, AskPods, Judge, RollBack>;

/// Pods that leave hold their quota, and a pull is tried again, for about a minute: only what lasts longer is a
/// failure.
inline constexpr double kTroubleMost_s = 75;

[[nodiscard]] Decision decide(Step step, const Observed& seen, const Request& request);

// The single steps, and what they share.
[[nodiscard]] Decision decide_deploy(const Observed& seen, const Request& request);
[[nodiscard]] Decision decide_smoke(const Observed& seen, const Request& request);
[[nodiscard]] Decision decide_switch(const Observed& seen, const Request& request);
[[nodiscard]] Decision decide_watch(const Observed& seen, const Request& request);
[[nodiscard]] Decision decide_finalize(const Observed& seen, const Request& request);
[[nodiscard]] Decision decide_rollback(const Observed& seen, const Request& request);

/// What is left until the cluster has GitState::wanted; nothing: it has.
[[nodiscard]] std::optional<Decision> settle(const Observed& seen, const Request& request);
/// What is left until traffic and fence are where Git says; nothing: they are.
[[nodiscard]] std::optional<Decision> follow_switch(const Observed& seen);
/// The live slot with the image and settings of the request over it.
[[nodiscard]] SlotValues wanted_release(const Slots& slots, const Request& request);
/// When the watch of the live slot began; none: it was never switched to.
[[nodiscard]] std::optional<double> watch_began_s(const Observed& seen);
/// "green (3f2a...)"
[[nodiscard]] std::string slot_text(const Slots& slots, Slot slot);
[[nodiscard]] std::string short_revision(const std::string& revision);

}  // namespace detection::slotctl
