#pragma once

namespace detection::slotctl {

inline constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;

/// The program: parses, runs, prints. Returns the exit code; no exception leaves it.
[[nodiscard]] int run(int argc, char** argv);

}  // namespace detection::slotctl
