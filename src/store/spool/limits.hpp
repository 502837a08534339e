#pragma once
// Every bound of the spool that is not an option.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace detection::store::spool::limits {

using namespace std::chrono_literals;

// In front of the spool's writer.
inline constexpr std::size_t kQueuedJobs = 8'192;
inline constexpr std::size_t kQueuedItems = 65'536;
inline constexpr std::size_t kItemsOfCommit = 1'024;  ///< so many share one fsync; a larger job has its own

// The file.
inline constexpr std::int64_t kJournalBytesKept = 16LL << 20;
inline constexpr std::int64_t kJournalBytesMost = 64LL << 20;
inline constexpr std::uintmax_t kCheckedBytes = 64u << 20;  ///< a larger file is not read through at the start
inline constexpr auto kLockWait = 5'000ms;                  ///< for whoever else looks into the file
inline constexpr std::int64_t kProbeBytes = 64 << 10;
inline constexpr auto kProbeEvery = 1'000ms;  ///< whether a disk that refused takes something again
inline constexpr std::int64_t kUnusedPagesKept = 256;
inline constexpr std::int64_t kPagesGivenBack = 1'024;  ///< at once, when there is nothing to write
inline constexpr std::int64_t kConflictsKept = 10'000;  ///< of those that are audited

// Replay.
inline constexpr std::size_t kReplayItems = 256;  ///< a commit that others' detections share, in the engines
inline constexpr std::int64_t kReplayBytes = 4LL << 20;
inline constexpr auto kRetryLeast = 250ms;            ///< between two tries while the store is away,
inline constexpr auto kRetryMost = 1'000ms;           ///< doubled up to this
inline constexpr std::size_t kConflictsAudited = 64;  ///< at once

// The way back: see Gate.
inline constexpr auto kHoldMost = 250ms;
inline constexpr auto kHoldAgain = 2'000ms;
inline constexpr std::size_t kHeldJobs = 8'192;

// Reading.
inline constexpr std::size_t kListWindow = 2'000;  ///< rows looked at for one page

/// Homes that are known at the same time without an allocation for each job.
inline constexpr std::size_t kHomes = 256;

}  // namespace detection::store::spool::limits
