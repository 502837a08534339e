#pragma once
// The verdict of a watch: figures of the new slot, held against limits and against the old slot before the switch.

#include <string_view>

#include "slotctl/observed.hpp"

namespace detection::slotctl {

/// kubernetes/environments/watch.yaml, or ENV/watch.yaml in its place; every key must be there.
struct Thresholds {
  double duration_s = 0;           ///< how long a switch is watched
  double interval_s = 0;           ///< between two looks
  double window_s = 0;             ///< of the rates; at least two scrapes
  double metrics_away_most_s = 0;  ///< Prometheus away for longer: no verdict
  double requests_least = 0;       ///< in the window; with fewer, ratios and latencies say nothing
  double error_ratio_most = 0, latency_p95_most_s = 0, tak_p95_most_s = 0;
  double queue_growth_most = 0;  ///< items over what waited at the switch
  int restarts_most = 0;         ///< containers that ended since the switch
  // Against the old slot before the switch.
  double error_ratio_over = 0;     ///< so much more
  double latency_factor_most = 0;  ///< so many times its p95...
  double latency_floor_s = 0;      ///< ... where the new one is over this
  double green_ratio_under = 0;    ///< so much less of all detections are GREEN (0.05: five points)
};

[[nodiscard]] Result<Thresholds> parse_thresholds(std::string_view yaml);

struct Evidence {
  Figures now{};     ///< of the live slot
  Figures before{};  ///< of the old one, up to the switch
  int restarts = 0;
};

[[nodiscard]] Judgement judge(const Evidence& evidence, const Thresholds& limits);
/// Containers of the slot that ended since then.
[[nodiscard]] int restarts_since(const SlotPods& pods, double since_s);

}  // namespace detection::slotctl
