#include "unit/source_rules.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>

namespace detection::rules {
namespace {

namespace fs = std::filesystem;

struct Include {
  std::size_t line = 0;
  bool quoted = false;  ///< "..." rather than <...>
  std::string path;
};

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<Include> includes_of(const fs::path& file) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*(["<])([^">]+)[">].*)re");
  std::vector<Include> includes;
  std::size_t number = 0;
  for (const auto& line : lines_of(file)) {
    ++number;
    std::smatch match;
    if (std::regex_match(line, match, kInclude)) includes.push_back({number, match[1] == "\"", match[2]});
  }
  return includes;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

std::string place(const fs::path& file, std::size_t line) {
  return file.generic_string() + ":" + std::to_string(line) + ": ";
}

std::string room_of(const std::string& include) {
  return include.substr(0, include.find('/'));
}

/// The code of a room: its declared sources and every header of its own that they reach. Tests stand beside the code
/// and may use what their own target names; they are not part of it.
std::set<fs::path> code_of(const fs::path& src, const Room& room) {
  std::set<fs::path> code;
  std::vector<fs::path> open;
  for (const auto& source : room.sources)
    if (const fs::path relative(source); relative.is_relative()) open.push_back(fs::path(room.name) / relative);
  while (!open.empty()) {
    const auto file = open.back();
    open.pop_back();
    if (!code.insert(file).second) continue;
    for (const auto& include : includes_of(src / file))
      if (include.quoted && room_of(include.path) == room.name && fs::exists(src / include.path))
        open.emplace_back(include.path);
  }
  return code;
}

bool belongs_to_one_room(const std::string& include) {
  static constexpr std::array<std::string_view, 11> kLibraries{
      "boost/",    "simdjson", "sqlite3.h",        "libpq",           "pugixml", "prometheus/", "cjose/",
      "jansson.h", "openssl/", "google/protobuf/", "tak_message.pb.h"};
  return std::ranges::any_of(kLibraries, [&](std::string_view library) { return include.starts_with(library); });
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::vector<Room> read_rooms(const fs::path& list) {
  std::vector<Room> rooms;
  for (const auto& line : lines_of(list)) {
    if (line.empty()) continue;
    const auto first = line.find('|');
    const auto second = line.find('|', first + 1);
    if (first == std::string::npos || second == std::string::npos) throw std::runtime_error("not a room: " + line);
    rooms.push_back(
        {line.substr(0, first), words(line.substr(first + 1, second - first - 1)), words(line.substr(second + 1))});
  }
  return rooms;
}

Findings wrong_arrows(const std::vector<Room>& rooms) {
  Findings findings;
  std::set<std::string> above;
  for (const auto& room : rooms) {
    for (const auto& used : room.uses)
      if (!above.contains(used)) findings.push_back(room.name + " uses " + used + ", which is not above it");
    above.insert(room.name);
  }
  return findings;
}

Findings wrong_includes(const fs::path& src, const std::vector<Room>& rooms) {
  Findings findings;
  for (const auto& room : rooms)
    for (const auto& file : code_of(src, room))
      for (const auto& include : includes_of(src / file)) {
        if (!include.quoted) continue;
        const auto other = room_of(include.path);
        if (other == room.name || std::ranges::find(room.uses, other) != room.uses.end()) continue;
        const bool known = std::ranges::any_of(rooms, [&](const Room& one) { return one.name == other; });
        findings.push_back(place(file, include.line) +
                           (known ? room.name + " does not declare that it uses " + other
                                  : "\"" + include.path + "\" is not of the form \"room/file.hpp\""));
      }
  return findings;
}

Findings leaked_libraries(const fs::path& src, const std::vector<Room>& rooms) {
  std::map<fs::path, std::string> open;  // header -> the file of another room that includes it
  for (const auto& room : rooms)
    for (const auto& file : code_of(src, room))
      for (const auto& include : includes_of(src / file))
        if (include.quoted && room_of(include.path) != room.name && fs::exists(src / include.path))
          open.emplace(include.path, file.generic_string());
  Findings findings;
  std::set<fs::path> seen;
  while (!open.empty()) {
    const auto [header, user] = *open.begin();
    open.erase(open.begin());
    if (!seen.insert(header).second) continue;
    for (const auto& include : includes_of(src / header)) {
      if (belongs_to_one_room(include.path))
        findings.push_back(place(header, include.line) + include.path + " reaches " + user);
      if (include.quoted && fs::exists(src / include.path) && !seen.contains(include.path))
        open.emplace(include.path, user);
    }
  }
  return findings;
}

Findings unlisted_sources(const fs::path& src) {
  Findings findings;
  for (const auto& file : files_below(src)) {
    if (file.extension() != ".cpp") continue;
    const auto relative = fs::relative(file, src);
    const auto room = src / *relative.begin();
    const auto inside = fs::relative(file, room).generic_string();
    std::set<std::string> listed;
    if (fs::exists(room / "CMakeLists.txt"))
      for (const auto& line : lines_of(room / "CMakeLists.txt")) {
        auto code = line.substr(0, line.find('#'));
        std::ranges::replace_if(code, [](char c) { return c == '(' || c == ')' || c == '"'; }, ' ');
        for (const auto& word : words(code)) listed.insert(word);
      }
    if (!listed.contains(inside))
      findings.push_back(relative.generic_string() + ": not in the CMakeLists.txt of its room");
  }
  return findings;
}

Findings untidy_files(const fs::path& top, std::size_t lines_most) {
  // Written in two parts, so that this file passes its own rule.
  static const std::regex kUnfinished(
      "\\b(TO"
      "DO|FIX"
      "ME|XX"
      "X)\\b");
  // The literals of std are what their suffixes are for, and collide with nothing.
  static const std::regex kUsingNamespace(R"(^\s*using\s+namespace\s+(?!std::\w*literals;).*)");
  static const std::set<std::string> kKinds{".cpp", ".hpp", ".cmake", ".sh", ".py"};
  Findings findings;
  for (const auto* folder : {"src", "tests", "cmake", "scripts"})
    for (const auto& file : files_below(top / folder)) {
      if (!kKinds.contains(file.extension().string()) && file.filename() != "CMakeLists.txt") continue;
      const auto relative = fs::relative(file, top);
      const auto lines = lines_of(file);
      if (lines.size() > lines_most)
        findings.push_back(place(relative, lines.size()) + "over " + std::to_string(lines_most) + " lines");
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (std::regex_search(lines[i], kUnfinished)) findings.push_back(place(relative, i + 1) + "unfinished work");
        if (file.extension() == ".hpp" && std::regex_match(lines[i], kUsingNamespace))
          findings.push_back(place(relative, i + 1) + "using namespace in a header");
      }
    }
  return findings;
}

}  // namespace detection::rules
