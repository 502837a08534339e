#pragma once
// The rules that the source tree obeys, as functions over any tree; each returns one line per finding, "file:line:
// why".

#include <filesystem>
#include <string>
#include <vector>

namespace detection::rules {

/// One room as its CMakeLists.txt declares it.
struct Room {
  std::string name;
  std::vector<std::string> uses;
  std::vector<std::string> sources;  ///< relative to the room's folder
};

using Findings = std::vector<std::string>;

/// The list that cmake/rooms.cmake writes: "room|uses|sources" a line, in the order of src/CMakeLists.txt.
[[nodiscard]] std::vector<Room> read_rooms(const std::filesystem::path& list);

/// Each room uses only rooms declared before it, so there is no circle.
[[nodiscard]] Findings wrong_arrows(const std::vector<Room>& rooms);

/// Each #include "..." of a room's code (its declared sources and what they include) names the room itself or one that
/// it declares in USES. `src` is the folder of the rooms.
[[nodiscard]] Findings wrong_includes(const std::filesystem::path& src, const std::vector<Room>& rooms);

/// No header that another room includes, directly or through others, shows a library that belongs to one room.
[[nodiscard]] Findings leaked_libraries(const std::filesystem::path& src, const std::vector<Room>& rooms);

/// Every .cpp below `src` is named in the CMakeLists.txt of its room.
[[nodiscard]] Findings unlisted_sources(const std::filesystem::path& src);

/// Files over `lines_most` lines, notes of unfinished work, `using namespace` in headers. `top` holds src, tests, ...
[[nodiscard]] Findings untidy_files(const std::filesystem::path& top, std::size_t lines_most);

}  // namespace detection::rules
