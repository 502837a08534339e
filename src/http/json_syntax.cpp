#include "http/json_syntax.hpp"

#include <string>

namespace detection::http {
namespace {

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Index behind the string that starts at `at` (its opening quote); npos when it does not end.
std::size_t string_end(std::string_view text, std::size_t at) noexcept {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return std::string_view::npos;
}

}  // namespace

bool is_json_number(std::string_view token) noexcept {
  std::size_t i = 0;
  const auto digits = [&] {
    const auto first = i;
    while (i < token.size() && is_digit(token[i])) ++i;
    return i > first;
  };
  if (i < token.size() && token[i] == '-') ++i;
  if (i < token.size() && token[i] == '0')
    ++i;
  else if (!digits())
    return false;
  if (i < token.size() && token[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < token.size() && (token[i] == 'e' || token[i] == 'E')) {
    ++i;
    if (i < token.size() && (token[i] == '+' || token[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == token.size();
}

bool is_json_blank(std::string_view text) noexcept {
  return json_trimmed(text).empty();
}

std::string_view json_trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_sane_text(std::string_view decoded) noexcept {
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    if (decoded[i] == '\0') return false;
    // U+D800..U+DFFF would be ED A0..BF xx; the body itself is valid UTF-8, so only an escape can have made it.
    if (decoded[i] == '\xed' && i + 1 < decoded.size() && static_cast<unsigned char>(decoded[i + 1]) >= 0xa0)
      return false;
  }
  return true;
}

Result<std::vector<std::string_view>> split_array(std::string_view text, std::size_t most) {
  const auto malformed = [](std::string detail) { return fail(ErrorCode::kMalformedJson, std::move(detail)); };
  text = json_trimmed(text);
  if (text.empty()) return malformed("the body is empty");
  if (text.front() != '[') return malformed("the body must be a JSON array");
  if (text.size() < 2 || text.back() != ']') return malformed("the array does not end, or there is text after it");

  std::vector<std::string_view> elements;
  int depth = 0;
  std::size_t begin = 1;
  const auto take = [&](std::size_t end) {
    elements.push_back(json_trimmed(text.substr(begin, end - begin)));
    begin = end + 1;
    return !elements.back().empty();
  };
  for (std::size_t i = 1; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      i = string_end(text, i);
      if (i == std::string_view::npos) return malformed("a string does not end");
      continue;
    }
    if (c == '{' || c == '[') {
      if (++depth > kJsonDepthMost) return malformed("nested too deeply");
    } else if (c == '}' || c == ']') {
      if (depth == 0) {
        if (c == '}' || i + 1 != text.size()) return malformed("the array does not end, or there is text after it");
        if (elements.empty() && is_json_blank(text.substr(begin, i - begin))) return elements;
        if (!take(i)) return malformed("an element is missing behind a comma");
        if (elements.size() > most) break;
        return elements;
      }
      --depth;
    } else if (c == ',' && depth == 0) {
      if (!take(i)) return malformed("an element is missing before a comma");
      if (elements.size() > most) break;
    }
    ++i;
  }
  if (elements.size() > most)
    return fail(ErrorCode::kPayloadTooLarge, "a batch has at most " + std::to_string(most) + " detections");
  return malformed("the array does not end");
}

}  // namespace detection::http
