#pragma once
// Other people's encoders, doing in this run what cot_bench does.

#include <filesystem>

#include "bench/figures.hpp"

namespace detection::bench {

/// Adds `pytak_encode` and `node_cot_encode`, `seconds` of CPU time for each of their two formats. One whose tools are
/// missing has the value 0 and a note that says "not measured" and why. `root` holds tests/bench and .cache.
void add_encode_rivals(Figures& figures, const std::filesystem::path& root, double seconds);

}  // namespace detection::bench
