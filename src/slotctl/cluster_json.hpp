#pragma once
// What the Kubernetes API answers -> ClusterState. Text in, values out; no I/O, so that real answers can be tested.

#include <string_view>

#include "slotctl/observed.hpp"

namespace detection::slotctl {

/// The answers' bodies; an empty one: there is no such thing.
struct ClusterTexts {
  std::string application{}, service{}, pods{};             ///< pods: also those of the Jobs of a sync
  std::string jobs{}, events{};                             ///< the Jobs of a sync; the events that say FailedCreate
  std::array<std::string, 2> deployments{}, autoscalers{};  ///< by Slot
};

/// kMalformedJson when one of them is not what Kubernetes answers.
[[nodiscard]] Result<ClusterState> read_cluster(const ClusterTexts& texts);
/// The body of /ready. `error` of the report is set where it is none.
[[nodiscard]] PodReport read_ready(std::string pod, std::string_view body);
/// "2 of 7: ready 503; metrics ..." of `detection-api smoke --json`; nothing when it is not its output.
[[nodiscard]] std::optional<std::string> read_smoke_failures(std::string_view body);

}  // namespace detection::slotctl
