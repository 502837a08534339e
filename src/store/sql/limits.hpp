#pragma once
// Every bound of the record's logic in one place (measured: section 4 of the design's durability notes). What only
// SQLite needs is in sqlite/limits.hpp.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace detection::store::sql::limits {

using namespace std::chrono_literals;

// In front of the writer.
inline constexpr std::size_t kQueuedJobs = 8'192;
inline constexpr std::size_t kQueuedItems = 65'536;       ///< about 100 MiB of detections
inline constexpr std::size_t kItemsOfSharedCommit = 256;  ///< jobs that share one fsync; a larger job has its own

inline constexpr auto kProbeEvery = 1'000ms;  ///< whether a writer that failed can write again
inline constexpr std::int64_t kProbeBytes = 64 << 10;

// Reading.
inline constexpr std::size_t kReaders = 8;
inline constexpr auto kReadTime = 5'000ms;             ///< of one call: a longer snapshot would hold up the log
inline constexpr auto kListTime = 1'000ms;             ///< after it a page comes back as far as it has come
inline constexpr std::int64_t kListWindow = 50'000;    ///< rows looked at between two looks at the clock
inline constexpr std::int64_t kListSlice = 500;        ///< rows that PostgreSQL is asked for at once to choose from
inline constexpr std::int64_t kIndexedTimes = 50'000;  ///< so many matches of a time range are sorted, more are scanned
inline constexpr std::int64_t kVerifySlice = 10'000;   ///< records read in one snapshot
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
inline constexpr std::int64_t kFeedSlice = 512;      ///< of them read and held at once
inline constexpr std::size_t kFeedRecords = 10'000;  ///< audit records looked at for one page of the feed
inline constexpr std::size_t kFeedIds = 20'000;      ///< behind so many deliveries its page ends
inline constexpr std::size_t kFeedCursorBytes = 1'024;

// Pruning the audit: each chunk is one transaction, with a pause behind it in which others write.
inline constexpr std::int64_t kPruneChunk = 2'000;
inline constexpr auto kPrunePause = 10ms;

static_assert(kItemsOfSharedCommit <= kQueuedItems);
static_assert(kListTime < kReadTime);

}  // namespace detection::store::sql::limits
