#pragma once
// The record of a snapshot into a PostgreSQL database, in one transaction.

#include "store/backup/backup.hpp"

namespace detection::store::backup {

[[nodiscard]] Result<Checked> restore_postgres(const RestoreOptions& options, const Manifest& manifest, Work& work);

}  // namespace detection::store::backup
