#pragma once
// The doors to the outside: narrow, so that the driver is tested with fakes behind them, crashed at every call.
// An Error's detail says in words what is away and what to do about it.

#include <chrono>
#include <string>

#include "slotctl/decide.hpp"
#include "slotctl/judge.hpp"

namespace detection::slotctl {

/// The branch that Argo CD follows.
class Repository {
 public:
  virtual ~Repository() = default;
  /// As it is now.
  [[nodiscard]] virtual Result<GitState> read() = 0;
  [[nodiscard]] virtual Result<Thresholds> thresholds() = 0;
  /// Renders and pushes one commit upon `base` (a GitState::head). False: somebody else's commit came first, nothing
  /// was changed.
  [[nodiscard]] virtual Result<bool> push(const std::string& base, const Slots& slots, const std::string& message) = 0;
  /// The change in words: a diff of the slots file, and which rendered files would change. Pushes nothing.
  [[nodiscard]] virtual Result<std::string> preview(const std::string& base, const Slots& slots) = 0;
  /// Whether `ancestor` is `revision` or before it; false where `revision` is not known.
  [[nodiscard]] virtual bool contains(const std::string& revision, const std::string& ancestor) = 0;
  /// The image of the active slot of another environment.
  [[nodiscard]] virtual Result<Image> live_image(const std::string& environment) = 0;
};

/// Kubernetes and Argo CD in it.
class Cluster {
 public:
  virtual ~Cluster() = default;
  [[nodiscard]] virtual Result<ClusterState> read() = 0;
  // False: the Application has changed since it was seen, and nothing was done.
  [[nodiscard]] virtual Result<bool> refresh() = 0;
  /// Ends the operation of the Application, if it is still as it was seen.
  [[nodiscard]] virtual Result<bool> end_sync(const Application& seen) = 0;
  [[nodiscard]] virtual Result<bool> start_sync(const Application& seen, const std::string& revision) = 0;
  /// The seven checks in each ready pod.
  [[nodiscard]] virtual SmokeResult smoke(const ClusterState& seen, Slot slot, const Image& image) = 0;
  [[nodiscard]] virtual PodReports ask_pods(const ClusterState& seen, Slot slot) = 0;
};

class Metrics {
 public:
  virtual ~Metrics() = default;
  /// Of one slot in the `window_s` before `at_s` (0: now).
  [[nodiscard]] virtual Result<Figures> figures(Slot slot, double at_s, double window_s) = 0;
};

class Time {
 public:
  virtual ~Time() = default;
  [[nodiscard]] virtual double now_s() = 0;  ///< since 1970
  virtual void sleep_s(double seconds) = 0;
};

/// What the operator sees while it goes on.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void begins(Step step) = 0;
  /// The same text again and again is said once.
  virtual void says(Step step, const std::string& text) = 0;
};

}  // namespace detection::slotctl
