#pragma once
// Every bound of the engine in one place (measured: reference of section 4 of the design's durability notes).

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace detection::store::sqlite::limits {

using namespace std::chrono_literals;

// In front of the writer.
inline constexpr std::size_t kQueuedJobs = 8'192;
inline constexpr std::size_t kQueuedItems = 65'536;       ///< about 100 MiB of detections
inline constexpr std::size_t kItemsOfSharedCommit = 256;  ///< jobs that share one fsync; a larger job has its own

// The write-ahead log.
inline constexpr int kLogFrames = 8'192;              ///< above it the writer itself starts the log anew
inline constexpr int kLogFramesAfterRefusal = 2'048;  ///< and, when readers stand in its way, tries again after so many
inline constexpr std::int64_t kJournalBytesKept = 64LL << 20;
inline constexpr auto kCheckpointEvery = 250ms;
inline constexpr auto kRestartWait = 20ms;
inline constexpr auto kLockWait = 5'000ms;    ///< for another process's write lock
inline constexpr auto kProbeEvery = 1'000ms;  ///< whether a writer that failed can write again
inline constexpr std::int64_t kProbeBytes = 64 << 10;

// Reading.
inline constexpr std::size_t kReaders = 8;
inline constexpr auto kReadTime = 5'000ms;             ///< of one call: a longer snapshot would hold up the log
inline constexpr auto kListTime = 1'000ms;             ///< after it a page comes back as far as it has come
inline constexpr std::int64_t kListWindow = 50'000;    ///< rows looked at between two looks at the clock
inline constexpr std::int64_t kIndexedTimes = 50'000;  ///< so many matches of a time range are sorted, more are scanned
inline constexpr std::int64_t kVerifySlice = 10'000;   ///< records read in one snapshot
inline constexpr auto kStructureCheckTime = 2'000ms;   ///< of SQLite's own look at the audit's pages, one snapshot
inline constexpr std::int64_t kSearchWindow = 10'000;  ///< audit records looked at between two looks at the clock
inline constexpr std::size_t kSearchRows = 256;        ///< held for each chain
inline constexpr std::size_t kSearchItems = 1'000;     ///< of a page of events
inline constexpr std::int64_t kExportSlice = 500;      ///< records read in one snapshot and held
inline constexpr std::size_t kClaimItems = 100'000;
inline constexpr std::int64_t kRevivedAtOnce = 1'000;  ///< dead letters that one commit and its record make due again
inline constexpr std::size_t kListItems = 10'000;

// The size of what waits: see SinkQueue::bytes.
inline constexpr std::int64_t kMeanOf = 256;  ///< newest detections
/// Of one row with its indexes and its audit record: measured.
inline constexpr double kRecordBytesBesideTexts = 700;
inline constexpr std::size_t kFeedRecords = 10'000;  ///< audit records looked at for one page of the feed
inline constexpr std::size_t kFeedIds = 20'000;      ///< behind so many deliveries its page ends
inline constexpr std::size_t kFeedCursorBytes = 1'024;

// Pruning the audit: each chunk is one transaction, with a pause behind it in which others write.
inline constexpr std::int64_t kPruneChunk = 2'000;
inline constexpr auto kPrunePause = 10ms;

// A writer beside the serving process: how long it tries to get its turn, and how often.
inline constexpr auto kTurnWait = 30'000ms;
inline constexpr auto kTurnPoll = 1ms;

// Page caches, KiB. Taken as they fill.
inline constexpr int kWriterCacheKib = 16'384;
inline constexpr int kReaderCacheKib = 2'048;

// The look at the whole file after an unclean stop gives way when it lasts too long or the log grows behind it.
inline constexpr auto kQuickCheckTime = 20'000ms;

static_assert(kItemsOfSharedCommit <= kQueuedItems);
static_assert(kJournalBytesKept > std::int64_t{kLogFrames} * (4096 + 24),
              "or the log is cut and grown again each time");
static_assert(kListTime < kReadTime);

}  // namespace detection::store::sqlite::limits
