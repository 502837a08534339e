#pragma once
// The bounds that only the SQLite engine has, with those of sql/.

#include "store/sql/limits.hpp"

namespace detection::store::sqlite::limits {

using namespace std::chrono_literals;
using sql::limits::kProbeBytes;
using sql::limits::kProbeEvery;
using sql::limits::kPruneChunk;
using sql::limits::kReaders;

// The write-ahead log.
inline constexpr int kLogFrames = 8'192;              ///< above it the writer itself starts the log anew
inline constexpr int kLogFramesAfterRefusal = 2'048;  ///< and, when readers stand in its way, tries again after so many
inline constexpr std::int64_t kJournalBytesKept = 64LL << 20;
inline constexpr auto kCheckpointEvery = 250ms;
inline constexpr auto kRestartWait = 20ms;
inline constexpr int kRestartWaitEvery = 16;  ///< of tries that readers stand in the way of
inline constexpr auto kLockWait = 5'000ms;    ///< for another process's write lock

inline constexpr auto kStructureCheckTime = 2'000ms;  ///< of SQLite's own look at the audit's pages, one snapshot

// A writer beside the serving process: how long it tries to get its turn, and how often.
inline constexpr auto kTurnWait = 30'000ms;
inline constexpr auto kTurnPoll = 1ms;

// Page caches, KiB. Taken as they fill.
inline constexpr int kWriterCacheKib = 16'384;
inline constexpr int kReaderCacheKib = 2'048;

// The look at the whole file after an unclean stop gives way when it lasts too long or the log grows behind it.
inline constexpr auto kQuickCheckTime = 20'000ms;

static_assert(kJournalBytesKept > std::int64_t{kLogFrames} * (4096 + 24),
              "or the log is cut and grown again each time");

}  // namespace detection::store::sqlite::limits
