#pragma once
// What can be known of a sink that never answers (private to this room).

#include "tak/probe.hpp"

namespace detection::tak {

[[nodiscard]] ProbeReport probe_datagram(const ProbeOptions& options);
[[nodiscard]] ProbeReport probe_file(const ProbeOptions& options);

}  // namespace detection::tak
