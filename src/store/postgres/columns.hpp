#pragma once
// Columns of a binary result, read by their type. A kind of reading that does not fit the column's type is a bug of
// ours: asserted, and read as 0 or empty.

#include <cstdint>
#include <string_view>

struct pg_result;

namespace detection::store::postgres {

/// bool (0, 1), int2, int4, int8, oid, xid, xid8, numeric (its whole part, at most what fits); float4 and float8 are
/// cut to whole. NULL: 0.
[[nodiscard]] std::int64_t integer_at(const pg_result* result, int row, int column) noexcept;
/// All of the above, and float4, float8. NULL: 0.
[[nodiscard]] double real_at(const pg_result* result, int row, int column) noexcept;
/// The bytes as they came, of texts, json, bytea, uuid. NULL: empty.
[[nodiscard]] std::string_view raw_at(const pg_result* result, int row, int column) noexcept;

}  // namespace detection::store::postgres
