#pragma once
// `detection-api migrate` on the embedded engine, whose serving process also does it by itself when it starts.

#include <cstdint>
#include <filesystem>

#include "detection/error.hpp"

namespace detection::store::sqlite {

struct Migrated {
  std::int64_t before = 0;  ///< 0: there was no store
  std::int64_t after = 0;
};

/// Brings the schema of the store in `directory` up to date; makes one if there is none. kConfiguration: it is being
/// served by a program of an older schema, it is newer than this program, or another program's.
[[nodiscard]] Result<Migrated> migrate(const std::filesystem::path& directory);

}  // namespace detection::store::sqlite
