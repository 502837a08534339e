#pragma once
// What the command line asks for, and who carries it out.

#include <string>

#include "slotctl/driver.hpp"

namespace detection::slotctl {

struct Options {
  std::string environment{};
  std::string repository{}, branch = "main";
  std::string kubectl = "kubectl", context{}, kubernetes_url{};
  std::string space = "detection-system", application, argocd_space = "argocd";
  std::string prometheus_url, prometheus = "monitoring/prometheus:9090";
  double pause_s = 1, most_s = 900;
  bool json = false, dry_run = false, git_only = false;

  // deploy, release
  std::string tag{}, digest{}, image_repository{}, from{}, config_file{};
  // smoke, rollback
  std::string slot{};
  // watch, finalize
  bool no_rollback = false, without_watch = false, without_spool_check = false;
};

enum class Action : std::uint8_t { kSteps, kStatus, kVerify };

/// Exit code. `steps`: for kSteps, in their order.
[[nodiscard]] int carry_out(Action action, const std::vector<Step>& steps, Options options);

}  // namespace detection::slotctl
