#pragma once
// Takes the beginnings of the audit chains away, record by record checked, and leaves signed tombstones
// (tombstone.hpp). Each chain's pruning is announced by a record of type audit_pruned in the pruning process's own
// chain, in the transaction of its first chunk; how far it came is what the tombstone says.

#include <atomic>
#include <functional>
#include <string_view>

#include "store/sql/reader_pool.hpp"
#include "store/sql/writer.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

inline constexpr std::string_view kPrunedType = "audit_pruned";

struct Pruning {
  ReaderPool& readers;
  std::function<Result<void>(Writer::Work)> commit;  ///< one transaction of the pruning process
  TombstoneSigner signer;
  UtcMicros before{};
  UtcMicros now{};
  std::string_view actor;
  const std::atomic<bool>& stop;  ///< once set, it ends behind the chunk that it is at
};

/// How many records went. kValidationFailed: `before` is too late; kConfiguration: no signer; kConflict: a record to be
/// removed does not hold (it and what follows stays, as evidence), or somebody else prunes.
[[nodiscard]] Result<std::int64_t> prune(const Pruning& pruning);

}  // namespace detection::store::sql
