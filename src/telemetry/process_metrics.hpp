#pragma once
// The process_* set of Prometheus' client guidelines, read from /proc/self at each call (Linux).

#include <string>

namespace detection::telemetry {

/// Appends process_cpu_seconds_total, process_open_fds, process_max_fds, process_virtual_memory_bytes,
/// process_resident_memory_bytes, process_start_time_seconds and process_threads in the text format.
void append_process_metrics(std::string& out);

}  // namespace detection::telemetry
