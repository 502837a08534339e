#pragma once
// The tables of the PostgreSQL engine, in steps; and who may work with which version of them.
//
// A step only expands: what an older program reads and writes goes on to work. So a program whose steps end at N works
// with the versions N-1, N and N+1 (the release before it and the one after run beside it during a blue-green release);
// what is outside is refused. What a step leaves over for the older program is taken away one step later.

#include <cstdint>
#include <string>
#include <string_view>

#include "store/sql/connection.hpp"

namespace detection::store::postgres {

using sql::Database;

/// The newest version this program knows, the number of its steps.
[[nodiscard]] std::int64_t schema_version() noexcept;
/// The SQL of one step, from 1.
[[nodiscard]] std::string_view schema_step(std::int64_t number) noexcept;
/// What of a step would break the program before it; empty: it is an expansion. By the text alone: a guard for those
/// who write steps, no proof.
[[nodiscard]] std::string contraction_in(std::string_view step);

/// 0: there is none. kConfiguration: the database holds something else.
[[nodiscard]] Result<std::int64_t> stored_version(Database& db);
/// Whether this program works with that version; else kConfiguration says what to do.
[[nodiscard]] Result<void> check_version(std::int64_t version);
/// Brings it to schema_version(), one program at a time: others wait up to `patience`.
[[nodiscard]] Result<void> migrate(Database& db, std::chrono::milliseconds patience);

}  // namespace detection::store::postgres
