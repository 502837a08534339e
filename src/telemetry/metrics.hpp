#pragma once
// Every metric of the service (design.md 4.4), declared once with its type, help and labels. A room asks for a handle
// once (a look-up under a lock) and keeps it: the handle is a pointer, its use is an atomic operation, any thread.
//
//   telemetry::Counter hits = metrics.counter(telemetry::kTakPushTotal, {"tak", "success"});
//   hits.increment();

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace detection::telemetry {

/// Handles do nothing when default-made, so that code without metrics (tests, commands) needs no branches of its own.
class Counter {
 public:
  Counter() = default;
  explicit Counter(void* impl) : impl_(impl) {}
  void increment(double by = 1) noexcept;

 private:
  void* impl_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(void* impl) : impl_(impl) {}
  void set(double value) noexcept;
  void add(double by) noexcept;

 private:
  void* impl_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(void* impl) : impl_(impl) {}
  void observe(double value) noexcept;

 private:
  void* impl_ = nullptr;
};

enum class MetricKind { kCounter, kGauge, kHistogram };

struct MetricFamily {
  std::string_view name;
  MetricKind kind;
  std::string_view help;
  std::vector<std::string_view> labels;
  std::vector<double> buckets = {};  ///< histograms
};

/// Names as constants, so that a misspelt one does not compile. The table in metrics.cpp declares each.
inline constexpr std::string_view kHttpRequestsTotal = "http_requests_total";
inline constexpr std::string_view kHttpRequestDurationSeconds = "http_request_duration_seconds";
inline constexpr std::string_view kHttpRequestsInProgress = "http_requests_in_progress";
inline constexpr std::string_view kHttpConnections = "http_connections";
inline constexpr std::string_view kHttpRefusedTotal = "http_refused_total";
inline constexpr std::string_view kHttpCertificateExpiryTimestampSeconds = "http_certificate_expiry_timestamp_seconds";
inline constexpr std::string_view kFeedReaders = "feed_readers";
inline constexpr std::string_view kFeedEventsTotal = "feed_events_total";
inline constexpr std::string_view kFeedReadersCutTotal = "feed_readers_cut_total";
inline constexpr std::string_view kDetectionApiInfo = "detection_api_info";
inline constexpr std::string_view kReleaseSlotActive = "release_slot_active";
inline constexpr std::string_view kAuthAttemptsTotal = "auth_attempts_total";
inline constexpr std::string_view kRateLimitHitsTotal = "rate_limit_hits_total";
inline constexpr std::string_view kCacheHitsTotal = "cache_hits_total";
inline constexpr std::string_view kCacheMissesTotal = "cache_misses_total";
inline constexpr std::string_view kDetectionsProcessedTotal = "detections_processed_total";
inline constexpr std::string_view kDetectionProcessingDurationSeconds = "detection_processing_duration_seconds";
inline constexpr std::string_view kDetectionCe90Meters = "detection_ce90_meters";
inline constexpr std::string_view kTakPushTotal = "tak_push_total";
inline constexpr std::string_view kTakPushDurationSeconds = "tak_push_duration_seconds";
inline constexpr std::string_view kTakSinkConnected = "tak_sink_connected";
inline constexpr std::string_view kTakReconnectsTotal = "tak_reconnects_total";
inline constexpr std::string_view kOfflineQueueSize = "offline_queue_size";
inline constexpr std::string_view kOfflineQueueOldestItemAgeSeconds = "offline_queue_oldest_item_age_seconds";
inline constexpr std::string_view kOfflineQueueSyncedTotal = "offline_queue_synced_total";
inline constexpr std::string_view kOfflineQueueBytes = "offline_queue_bytes";
inline constexpr std::string_view kOfflineQueueCapacityItems = "offline_queue_capacity_items";
inline constexpr std::string_view kOfflineQueueCapacityBytes = "offline_queue_capacity_bytes";
inline constexpr std::string_view kOfflineQueueUsageRatio = "offline_queue_usage_ratio";
inline constexpr std::string_view kSpoolSize = "spool_size";
inline constexpr std::string_view kSpoolOldestItemAgeSeconds = "spool_oldest_item_age_seconds";
inline constexpr std::string_view kSpoolCapacityItems = "spool_capacity_items";
inline constexpr std::string_view kSpoolBytes = "spool_bytes";
inline constexpr std::string_view kSpoolConflicts = "spool_conflicts";
inline constexpr std::string_view kTakDeadLetters = "tak_dead_letters";
inline constexpr std::string_view kTakOmittedTotal = "tak_omitted_total";
inline constexpr std::string_view kTakCertificateExpiryTimestampSeconds = "tak_certificate_expiry_timestamp_seconds";
inline constexpr std::string_view kKeyCreatedTimestampSeconds = "key_created_timestamp_seconds";
inline constexpr std::string_view kKeyFilesUnusable = "key_files_unusable";
inline constexpr std::string_view kStoreCommitDurationSeconds = "store_commit_duration_seconds";
inline constexpr std::string_view kStoreCommitBatchSize = "store_commit_batch_size";
inline constexpr std::string_view kStoreConnections = "store_connections";
inline constexpr std::string_view kStoreQueueJobs = "store_queue_jobs";
inline constexpr std::string_view kStoreLogBytes = "store_log_bytes";
inline constexpr std::string_view kStoreCheckpointDurationSeconds = "store_checkpoint_duration_seconds";
inline constexpr std::string_view kAuditEventsTotal = "audit_events_total";
inline constexpr std::string_view kAuditChainValid = "audit_chain_valid";
inline constexpr std::string_view kBackupLastSuccessTimestampSeconds = "backup_last_success_timestamp_seconds";
inline constexpr std::string_view kBackupLastVerifiedTimestampSeconds = "backup_last_verified_timestamp_seconds";
inline constexpr std::string_view kLogLinesDroppedTotal = "log_lines_dropped_total";

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Label values in the order of the family's labels. A name that the table does not hold, or of another kind, is a
  /// bug of ours and ends the program.
  [[nodiscard]] Counter counter(std::string_view name, std::initializer_list<std::string_view> label_values = {});
  [[nodiscard]] Gauge gauge(std::string_view name, std::initializer_list<std::string_view> label_values = {});
  [[nodiscard]] Histogram histogram(std::string_view name, std::initializer_list<std::string_view> label_values = {});

  /// Runs before each exposition, to set gauges whose value is looked up rather than counted. Must not block long.
  void before_scrape(std::function<void()> refresh);

  /// The text format 0.0.4: every family with # HELP and # TYPE, also before its first sample, and the process set.
  [[nodiscard]] std::string expose();

  [[nodiscard]] static const std::vector<MetricFamily>& families();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::telemetry
