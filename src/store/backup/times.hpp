#pragma once
// What backups have written into the store of themselves, for the metrics of those that serve it: these are other
// processes, with several replicas on other hosts. No part of the record: a snapshot does not hold it. Each call makes
// a connection of its own.

#include <optional>

#include "detection/time.hpp"
#include "store/backup/place.hpp"

namespace detection::store::backup {

/// None: never, as far as this store knows.
struct Times {
  std::optional<UtcMicros> made{};      ///< when the newest good backup was made
  std::optional<UtcMicros> verified{};  ///< when a snapshot was last restored for a check, beside its making
};

[[nodiscard]] Result<Times> recorded_times(const Place& place);
/// Sets those that are given; durable when it returns.
[[nodiscard]] Result<void> record_times(const Place& place, const Times& times);

}  // namespace detection::store::backup
