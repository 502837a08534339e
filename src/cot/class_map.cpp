#include "cot/class_map.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "cot/event_type.hpp"

namespace detection::cot {
namespace {

constexpr std::size_t kClassBytesMost = 64;
constexpr std::string_view kDefaultClass = "default";

/// One form for all spellings of a class; 0 for a character that no class has.
constexpr char folded(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  if (c == '-' || c == '.' || c == ' ') return '_';
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ? c : '\0';
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

struct Line {
  std::string object_class;
  std::string type;
};

/// One line that is not empty; the error is the rule that it breaks.
std::expected<Line, std::string> parse_line(std::string_view line, char affiliation) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return std::unexpected("must be of the form class = type");
  Line out{std::string(trimmed(line.substr(0, equals))), std::string(trimmed(line.substr(equals + 1)))};
  if (out.object_class.empty() || out.object_class.size() > kClassBytesMost)
    return std::unexpected("a class has 1 to " + std::to_string(kClassBytesMost) + " characters");
  for (char& c : out.object_class) {
    c = folded(c);
    if (c == '\0') return std::unexpected("a class has letters, digits, '_', '.', '-' and spaces only");
  }
  if (out.type.starts_with("a-.-")) out.type[2] = affiliation;
  if (!is_event_type(out.type)) return std::unexpected("'" + out.type + "' is not a CoT type (as a-.-G-E-V)");
  return out;
}

}  // namespace

Result<ClassMap> ClassMap::parse(std::string_view text, char affiliation) {
  if (kAffiliations.find(affiliation) == std::string_view::npos)
    return fail(ErrorCode::kConfiguration, "an affiliation is one of " + std::string(kAffiliations));
  ClassMap map;
  std::unordered_map<std::string, std::size_t> stated_at;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto content = trimmed(line.substr(0, line.find('#')));
    if (content.empty()) continue;
    const auto where = "line " + std::to_string(number) + ": ";
    auto parsed = parse_line(content, affiliation);
    if (!parsed) return fail(ErrorCode::kConfiguration, where + parsed.error());
    const auto [first, is_new] = stated_at.emplace(parsed->object_class, number);
    if (!is_new)
      return fail(ErrorCode::kConfiguration, where + "'" + parsed->object_class + "' is stated in line " +
                                                 std::to_string(first->second) + " already");
    map.types_.emplace(std::move(parsed->object_class), std::move(parsed->type));
  }
  const auto stated = map.types_.find(kDefaultClass);
  map.default_type_ = stated != map.types_.end() ? stated->second : std::string("a-") + affiliation + "-G";
  return map;
}

ClassMap ClassMap::built_in(char affiliation) {
  auto map = parse(kBuiltInClassMap, affiliation);
  if (!map) map = parse(kBuiltInClassMap);  // an affiliation that there is not; the text itself is tested
  assert(map);
  return std::move(*map);
}

std::string_view ClassMap::type_of(std::string_view object_class) const noexcept {
  std::array<char, kClassBytesMost> buffer;
  const std::size_t size = std::min(object_class.size(), buffer.size());
  for (std::size_t i = 0; i < size; ++i) buffer[i] = folded(object_class[i]);
  std::string_view name(buffer.data(), size);
  bool whole = size == object_class.size();  // of a longer one only a parent may be known
  while (true) {
    if (const auto found = types_.find(name); whole && found != types_.end()) return found->second;
    const auto cut = name.rfind('_');
    if (cut == std::string_view::npos) return default_type_;
    name = name.substr(0, cut);
    whole = true;
  }
}

}  // namespace detection::cot
