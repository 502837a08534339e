#pragma once
// What the log says of detections that a request brought.

#include "http/exchange.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace detection::http {

/// Of a job without an error. The lines are found by a detection's id; detections with the same outcome share one.
void log_commit(telemetry::Log& log, const Exchange& x, const store::CommitJob& job);

}  // namespace detection::http
