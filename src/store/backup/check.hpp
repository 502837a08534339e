#pragma once
// What checks and restores share: a snapshot's pages as a database.

#include <filesystem>

#include "store/backup/backup.hpp"
#include "store/sql/connection.hpp"

namespace detection::store::backup {

/// The pages within the file, to read. kConfiguration: they are of a newer schema than this program knows.
[[nodiscard]] Result<sql::Database> open_pages(const std::filesystem::path& file, const Manifest& manifest);
/// Its pages as a database of its own at `to`, compared with the manifest and then brought to this program's schema;
/// everything of it is in the one file when it returns.
[[nodiscard]] Result<Checked> unpack(const std::filesystem::path& file, const Manifest& manifest,
                                     const std::filesystem::path& to, Work& work);
/// Walks the audit chains of a database of this program's schema. Signatures of tombstones are not checked: that takes
/// keys, which the record does not hold.
[[nodiscard]] Result<AuditVerdict> check_audit(sql::Database& db);

}  // namespace detection::store::backup
