#pragma once
// SQLite's own look at the pages of the audit (the order of keys, its indexes), as far as a short snapshot allows.

#include <atomic>
#include <optional>
#include <string>

#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::sqlite {

[[nodiscard]] Result<std::optional<std::string>> check_structure(Database& db, const std::atomic<bool>& stop);

}  // namespace detection::store::sqlite
