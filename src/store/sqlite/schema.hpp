#pragma once
// The tables of the embedded engine, and what is set on each connection. A schema's number is its user_version;
// migrations are a list of steps, each run in one transaction. Steps that stand in a release are never edited.

#include <filesystem>
#include <string_view>

#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::sqlite {

inline constexpr std::int64_t kApplicationId = 0x44455453;  ///< "DETS": what `file` and others know the file by

/// The number of the newest step.
[[nodiscard]] std::int64_t schema_version() noexcept;
/// The statements of one step, from 1.
[[nodiscard]] std::string_view schema_step(std::int64_t number) noexcept;

/// A connection with its settings made and, where durability rests on them, read back. kConfiguration when the file is
/// another program's, has a newer schema, or (kReadOnly, kQuery) an older one.
[[nodiscard]] Result<Database> connect(const std::filesystem::path& file, Access access);

}  // namespace detection::store::sqlite
