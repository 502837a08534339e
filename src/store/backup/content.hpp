#pragma once
// Whether a database holds what a manifest says.

#include <functional>
#include <vector>

#include "store/backup/manifest.hpp"
#include "store/backup/work.hpp"
#include "store/sql/connection.hpp"

namespace detection::store::backup {

[[nodiscard]] Result<std::vector<ChainEnd>> chain_ends(sql::Database& db);

/// What the tables of these parts hold now; `each` gets every row on its way.
using EachPartRow = std::function<Result<void>(const Table& table, Row row)>;
[[nodiscard]] Result<std::vector<Part>> read_parts(sql::Database& db, const std::vector<Table>& of,
                                                   const EachPartRow& each, std::string_view what,
                                                   std::int64_t rows_expected, Work& work);

/// Every table and every end of a chain against the manifest. kValidationFailed names the first that differs. With
/// `each`, every row goes there as well.
[[nodiscard]] Result<void> compare(sql::Database& db, const Manifest& manifest, std::string_view what, Work& work,
                                   const EachPartRow& each = {});

}  // namespace detection::store::backup
