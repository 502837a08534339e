#include "cot/event_type.hpp"

namespace detection::cot {
namespace {

constexpr bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

constexpr bool is_text(char c) {
  return c > ' ' && c < 0x7f && std::string_view("<>&\"';").find(c) == std::string_view::npos;
}

}  // namespace

bool is_event_type(std::string_view type) noexcept {
  if (type.empty() || type.size() > kTypeBytesMost) return false;
  const auto semicolon = type.find(';');
  if (semicolon != std::string_view::npos)
    for (const char c : type.substr(semicolon + 1))
      if (!is_text(c)) return false;
  const auto tree = type.substr(0, semicolon);
  bool after_word = false;
  for (const char c : tree) {
    if (!is_word(c) && !(c == '-' && after_word)) return false;
    after_word = c != '-';
  }
  if (!after_word) return false;
  if (!tree.starts_with("a-")) return tree != "a";
  return tree.size() >= 5 && kAffiliations.find(tree[2]) != std::string_view::npos && tree[3] == '-' &&
         kDimensions.find(tree[4]) != std::string_view::npos && (tree.size() == 5 || tree[5] == '-');
}

}  // namespace detection::cot
