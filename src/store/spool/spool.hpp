#pragma once
// A store in front of another (the primary, PostgreSQL) that takes detections also while the primary cannot: they go
// into a bounded file on this process's own disk and to the primary, in order, when it is back.
//
// - While the primary takes commits and the spool is empty, a job goes straight to it.
// - A job that the primary gave back with kStoreUnavailable, or because its disk is full, or that it has no room for in
//   front of its writer, goes into the spool and comes back with CommitJob::spooled: durable here. From then on all
//   jobs do, until the spool is empty: what is posted behind an answer is never in front of what that answer was about.
//   (Jobs that are in flight together have no order, as with any store.)
// - An id that is in the spool is repeated or in conflict at once. One that the primary has cannot be looked up while
//   it is away: that is settled at the replay. Same content: nothing is left to do. Other content, or a detection
//   that the primary refuses for good: kept in the file's table `conflict`, audited, logged, counted.
// - A queue limit of a sink does not refuse what was accepted: the replay waits for room.
// - find, delivery_status, timeline, and list of the state kSpooled know what is in the spool, also while the primary
// is
//   away; all else is the primary's. Spooled ones have no sequence.
// - Nothing is delivered from the spool.
//
// Threads: as any Store. Its own: the spool's writer and the replay.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::spool {

struct Options {
  std::filesystem::path directory;               ///< made if missing; holds spool.db
  std::int64_t items_most = 500'000;             ///< 1 and more
  std::int64_t bytes_most = 1LL << 30;           ///< of what is kept of them (the file is a little larger)
  std::chrono::milliseconds drain_time{10'000};  ///< close() hands over what is left for at most so long
  std::string slot{};                            ///< of this process: for status() while there is no primary
  Clock clock = system_now;
  telemetry::Metrics* metrics = nullptr;
  telemetry::Log* log = nullptr;
};

using OpenPrimary = std::function<Result<std::unique_ptr<Store>>()>;

/// Opens the spool and then the primary. A primary that fails with kStoreUnavailable or kCapacityExceeded is tried
/// again in the background, every 250 ms to 1 s; until it comes, what needs it fails with kStoreUnavailable, and sinks,
/// listeners and the signer are kept for it. Any other error of it is returned.
/// What an earlier process left in the spool is replayed first.
/// kConfiguration, kStoreUnavailable, kCapacityExceeded of the spool itself: SpoolFile::open.
[[nodiscard]] Result<std::unique_ptr<Store>> open(OpenPrimary primary, const Options& options);
/// Around one that is open.
[[nodiscard]] Result<std::unique_ptr<Store>> open(std::unique_ptr<Store> primary, const Options& options);

}  // namespace detection::store::spool
