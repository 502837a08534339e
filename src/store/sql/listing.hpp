#pragma once
// Lists of detections, newest first, by any combination of filters.

#include <optional>
#include <string>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

[[nodiscard]] Result<ListPage> list(Database& db, const std::optional<std::vector<std::string>>& sinks,
                                    const ListFilter& filter, std::optional<std::int64_t> before, std::size_t limit);

}  // namespace detection::store::sql
