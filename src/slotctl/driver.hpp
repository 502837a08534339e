#pragma once
// Looks, decides, does, until a step is done. It remembers nothing that matters: killed anywhere and begun again it
// ends in the same state, and so do two of them at once, since a push is a compare-and-swap.

#include <span>
#include <string>
#include <vector>

#include "slotctl/ports.hpp"

namespace detection::slotctl {

struct Outcome {
  Step step{};
  bool done = false;
  std::string text{};
  double seconds = 0;
  std::vector<std::string> commits{};  ///< subjects of what this run pushed
  std::string preview{};               ///< of a dry run: what the next commit would be; empty: there is none
};

struct DriverOptions {
  double pause_s = 2;       ///< between two looks
  double most_s = 900;      ///< for a step (a watch: beside its own time)
  double away_most_s = 60;  ///< Git or the cluster away for longer ends the step
  double refresh_s = 15;    ///< between two requests to Argo CD to look
  bool dry_run = false;     ///< gates are looked at, nothing is changed
  bool roll_back = true;    ///< a watch that fails rolls back
};

struct Doors {
  Repository& repository;
  Cluster& cluster;
  Metrics& metrics;
  Time& time;
  Listener& listener;
};

class Driver {
 public:
  Driver(Doors doors, DriverOptions options);
  [[nodiscard]] Outcome run(Step step, const Request& request);
  /// One after the other, up to the first that is not done. A watch that failed is followed by its rollback.
  [[nodiscard]] std::vector<Outcome> run_all(std::span<const Step> steps, const Request& request);

 private:
  struct Run;
  [[nodiscard]] Result<void> look(Run& run);
  /// Nothing: go on.
  [[nodiscard]] std::optional<Outcome> act(Run& run, const Decision& decision);
  void judge_now(Run& run);
  /// Whether the switch that the watch found to be bad is not the last one any more.
  [[nodiscard]] static bool overtaken(const Run& run);
  [[nodiscard]] std::optional<Outcome> push(Run& run, const Commit& commit);
  void pause(Run& run, double seconds);
  [[nodiscard]] std::optional<Outcome> asked(Run& run, const Result<bool>& result);
  [[nodiscard]] Outcome ended(const Run& run, bool done, std::string text) const;

  Doors doors_;
  DriverOptions options_;
  double began_s_;
};

/// Git and the cluster as they are now, with what each revision has of the other.
[[nodiscard]] Result<Observed> observe(Repository& repository, Cluster& cluster);

/// The message of a step's commit.
[[nodiscard]] std::string commit_message(const Commit& commit, const std::string& environment);

}  // namespace detection::slotctl
