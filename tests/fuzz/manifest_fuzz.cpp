// The manifest of a snapshot, which may come from anybody: it is refused in words, or its tables are such as may stand
// in a statement, and survive being written again.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "store/backup/manifest.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace detection::store::backup;
  const auto parsed = parse_manifest({reinterpret_cast<const char*>(data), size});
  if (!parsed) {
    require(!parsed.error().detail.empty());
    return 0;
  }
  for (const auto& part : parsed->parts) {
    require(is_word(part.table.name));
    for (const auto& column : part.table.columns) require(is_word(column.name));
    require(part.table.key_columns >= 1 && part.table.key_columns <= static_cast<int>(part.table.columns.size()));
  }
  const auto again = parse_manifest(manifest_json({.parts = parsed->parts}));
  require(again.has_value() && again->parts == parsed->parts);
  return 0;
}
