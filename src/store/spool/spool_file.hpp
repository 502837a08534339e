#pragma once
// The spool's file: a small SQLite database of its own, in WAL mode with synchronous=FULL. The one place that knows
// its tables, and SQLite. An object is one connection, for one thread at a time; the file has one writing connection.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

namespace detection::store::spool {

inline constexpr std::string_view kFileName = "spool.db";

struct SpooledItem {
  std::int64_t number = 0;        ///< rises with each; never used again
  UtcMicros spooled{};            ///< when it was written
  std::int64_t bytes = 0;         ///< as in Totals
  Result<Acceptance> acceptance;  ///< kInternal: what is kept of it is damaged
};

/// What replay could not hand over; kept for a person.
struct Conflict {
  std::int64_t number = 0;
  Uuid id{};
  Sha256 content_sha256{};
  UtcMicros received{};
  std::string reason;
};

struct Totals {
  std::int64_t items = 0, bytes = 0;
  std::int64_t conflicts = 0, conflict_bytes = 0;  ///< beside those
  std::optional<UtcMicros> oldest{};
};

class SpoolFile {
 public:
  /// Made if missing. kConfiguration: the folder cannot be made or another process uses it, the file is another
  /// program's, or of a newer one. kStoreUnavailable, kCapacityExceeded: the disk (not writable, broken, full).
  [[nodiscard]] static Result<SpoolFile> open(const std::filesystem::path& directory);
  /// A second connection beside it that only reads.
  [[nodiscard]] static Result<SpoolFile> open_reader(const std::filesystem::path& directory);
  SpoolFile(SpoolFile&&) noexcept;
  SpoolFile& operator=(SpoolFile&&) noexcept;
  ~SpoolFile();

  /// One transaction: all of it is on the disk when it returns without an error, else none of it.
  [[nodiscard]] Result<void> write(const std::function<Result<void>()>& work);

  // Within write().
  /// False, and nothing is written, when its id is there already.
  [[nodiscard]] Result<bool> insert(const Acceptance& item, std::string_view payload, UtcMicros now);
  /// All up to and including `number`.
  [[nodiscard]] Result<void> remove_up_to(std::int64_t number);
  /// Out of what waits and into what is kept.
  [[nodiscard]] Result<void> keep_as_conflict(std::int64_t number, std::string_view reason, UtcMicros now);
  [[nodiscard]] Result<void> mark_audited(std::int64_t number);
  /// Whether the disk takes anything.
  [[nodiscard]] Result<void> probe();

  [[nodiscard]] Result<std::optional<SpooledItem>> find(const Uuid& id);
  /// With number > after, in order of it, at most `limit` items; ends behind the one that brings it over `bytes_most`.
  [[nodiscard]] Result<std::vector<SpooledItem>> oldest(std::int64_t after, std::size_t limit, std::int64_t bytes_most);
  /// With number < before (none: from the newest), at most `limit`, newest first.
  [[nodiscard]] Result<std::vector<SpooledItem>> newest(std::optional<std::int64_t> before, std::size_t limit);
  /// Those that are not audited yet, at most `limit`.
  [[nodiscard]] Result<std::vector<Conflict>> unaudited(std::size_t limit);
  /// Looks at every row: for the start.
  [[nodiscard]] Result<Totals> totals();
  [[nodiscard]] Result<void> count_conflicts(Totals& totals);
  /// Of what waits: the first, when it was received.
  [[nodiscard]] Result<std::optional<UtcMicros>> oldest_received();
  /// Keeps the write-ahead log short; between two transactions.
  void bound_log() noexcept;
  /// Gives a part of the unused pages back to the disk; false: there were none. Not within write().
  [[nodiscard]] Result<bool> shrink();

 private:
  struct Impl;
  explicit SpoolFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::store::spool
