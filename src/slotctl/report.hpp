#pragma once
// What slotctl says: status, the post-deployment matrix, the table of a run; for people and as JSON.

#include <string>
#include <vector>

#include "slotctl/driver.hpp"

namespace detection::slotctl {

/// Where a release is: "at rest", "warming", "watching" (switched, the old slot on standby), "rolled back".
[[nodiscard]] std::string phase_of(const GitState& git);
/// What is not as Git says, one sentence each; none: no drift.
[[nodiscard]] std::vector<std::string> drift_of(const Observed& seen);

[[nodiscard]] std::string status_text(const Observed& seen, const Request& request);
[[nodiscard]] std::string status_json(const Observed& seen, const Request& request);

/// One row of the post-deployment matrix.
struct Check {
  std::string name{};
  bool passed = false;
  std::string text{};
};

/// What the matrix is filled from, beside `Observed` with its reports and smoke of the live slot.
struct VerifyEvidence {
  Observed seen;
  Result<Figures> now, before;  ///< of the live slot, now and a window ago
  Thresholds limits{};
};
[[nodiscard]] std::vector<Check> verify(const VerifyEvidence& evidence);
[[nodiscard]] std::string verify_text(const std::vector<Check>& checks);
[[nodiscard]] std::string verify_json(const std::vector<Check>& checks, const GitState& git,
                                      const std::string& environment);

[[nodiscard]] std::string outcomes_text(const std::vector<Outcome>& outcomes);
[[nodiscard]] std::string outcomes_json(const std::vector<Outcome>& outcomes, const Request& request);

}  // namespace detection::slotctl
