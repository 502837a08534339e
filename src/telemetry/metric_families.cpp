// The table of metrics: design.md 4.4, and a few of our own (http_connections, http_refused_total, feed_*,
// tak_reconnects_total, tak_omitted_total, offline_queue_capacity_bytes, offline_queue_usage_ratio, spool_bytes,
// spool_conflicts, store_queue_jobs, store_log_bytes, store_checkpoint_duration_seconds, log_lines_dropped_total).

#include "telemetry/metrics.hpp"

namespace detection::telemetry {
namespace {

using enum MetricKind;

// From one fsync of a fast disk to the longest wait anybody bears.
const std::vector<double> kSeconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const std::vector<double> kPushSeconds{0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60};
const std::vector<double> kMetres{1, 2, 5, 10, 15, 25, 50, 100, 250, 500, 1000, 10000};
const std::vector<double> kSizes{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 10000};

}  // namespace

const std::vector<MetricFamily>& Metrics::families() {
  static const std::vector<MetricFamily> table{
      {kHttpRequestsTotal, kCounter, "Requests answered", {"method", "route", "status_code"}},
      {kHttpRequestDurationSeconds,
       kHistogram,
       "From the request's last byte to its answer",
       {"method", "route"},
       kSeconds},
      {kHttpRequestsInProgress, kGauge, "Requests read and not yet answered", {}},
      {kHttpConnections, kGauge, "Open connections of the API port", {}},
      {kHttpRefusedTotal, kCounter, "Requests and connections refused at a limit", {"reason"}},
      {kHttpCertificateExpiryTimestampSeconds, kGauge, "When the API port's certificate ends", {}},
      {kFeedReaders, kGauge, "Readers of the live feed", {}},
      {kFeedEventsTotal, kCounter, "Events given to readers of the live feed", {}},
      {kFeedReadersCutTotal, kCounter, "Readers of the live feed cut off because they were too slow", {}},
      {kDetectionApiInfo, kGauge, "Always 1; what runs here", {"version", "commit", "slot"}},
      {kReleaseSlotActive, kGauge, "1 where this process delivers", {"slot"}},
      {kAuthAttemptsTotal, kCounter, "Requests that needed a credential, by what came of it", {"result"}},
      {kRateLimitHitsTotal, kCounter, "Requests refused by a rate limit", {"scope"}},
      {kCacheHitsTotal, kCounter, "Look-ups that a cache answered", {"cache"}},
      {kCacheMissesTotal, kCounter, "Look-ups that a cache could not answer", {"cache"}},
      {kDetectionsProcessedTotal, kCounter, "Detections by outcome", {"status", "confidence_flag"}},
      {kDetectionProcessingDurationSeconds, kHistogram, "From a detection's last byte to its commit", {}, kSeconds},
      {kDetectionCe90Meters, kHistogram, "Circular error (90 %) of accepted detections", {}, kMetres},
      {kTakPushTotal, kCounter, "Events by outcome at a sink", {"sink", "status"}},
      {kTakPushDurationSeconds, kHistogram, "From a batch's first byte to its confirmation", {"sink"}, kPushSeconds},
      {kTakSinkConnected, kGauge, "1 while connected", {"sink"}},
      {kTakReconnectsTotal, kCounter, "Connections made after the first", {"sink"}},
      {kOfflineQueueSize, kGauge, "Events waiting for a sink", {"sink"}},
      {kOfflineQueueOldestItemAgeSeconds, kGauge, "Age of the oldest event waiting", {"sink"}},
      {kOfflineQueueSyncedTotal, kCounter, "Events delivered after they had waited for a lost connection", {"sink"}},
      {kOfflineQueueBytes, kGauge, "About what the events waiting for a sink take in the store", {"sink"}},
      {kOfflineQueueCapacityItems, kGauge, "So many events may wait for a sink without a limit of its own; 0: any", {}},
      {kOfflineQueueCapacityBytes, kGauge, "So many bytes may wait for a sink without a limit of its own; 0: any", {}},
      {kOfflineQueueUsageRatio,
       kGauge,
       "Share of a sink's limit that is used, of the scarcer of items and bytes",
       {"sink"}},
      {kSpoolSize, kGauge, "Detections on this process's own disk that wait for the database", {}},
      {kSpoolOldestItemAgeSeconds, kGauge, "Age of the oldest of them", {}},
      {kSpoolCapacityItems, kGauge, "So many may wait there; 0: there is no spool", {}},
      {kSpoolBytes, kGauge, "What they take there", {}},
      {kSpoolConflicts, kGauge, "Spooled detections that the database refused, kept for a person", {}},
      {kTakOmittedTotal, kCounter, "Events left out for a sink: filtered, superseded, stale", {"sink", "reason"}},
      {kTakCertificateExpiryTimestampSeconds, kGauge, "When the client certificate of a sink ends", {"sink"}},
      {kTakDeadLetters, kGauge, "Events that a sink refused for good", {"sink"}},
      {kKeyCreatedTimestampSeconds, kGauge, "When a signing key was made (its file's time)", {"key"}},
      {kKeyFilesUnusable, kGauge, "Key files that cannot be used; good versions from before stay in use", {}},
      {kStoreCommitDurationSeconds, kHistogram, "One group commit, from BEGIN to durable", {}, kSeconds},
      {kStoreCommitBatchSize, kHistogram, "Detections in one group commit", {}, kSizes},
      {kStoreConnections, kGauge, "Connections to the database: idle, in_use", {"state"}},
      {kStoreQueueJobs, kGauge, "Jobs in front of the writer", {}},
      {kStoreLogBytes, kGauge, "Size of the write-ahead log", {}},
      {kStoreCheckpointDurationSeconds, kHistogram, "One checkpoint", {}, kSeconds},
      {kAuditEventsTotal, kCounter, "Audit events written", {"event_type", "severity"}},
      {kAuditChainValid, kGauge, "1: every chain held at the last check, 0: one did not", {}},
      {kBackupLastSuccessTimestampSeconds, kGauge, "When a backup last succeeded", {}},
      {kBackupLastVerifiedTimestampSeconds, kGauge, "When a backup was last restored for a check", {}},
      {kLogLinesDroppedTotal, kCounter, "Log lines dropped because the queue was full", {}},
  };
  return table;
}

}  // namespace detection::telemetry
