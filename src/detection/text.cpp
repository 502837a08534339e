#include "detection/text.hpp"

namespace detection {
namespace {

unsigned char at(std::string_view text, std::size_t i) noexcept {
  return static_cast<unsigned char>(text[i]);
}

bool is_control(std::string_view character) noexcept {
  const auto first = at(character, 0);
  return first < 0x20 || first == 0x7f || (character.size() == 2 && first == 0xc2 && at(character, 1) < 0xa0);
}

}  // namespace

std::size_t first_character_bytes(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto lead = at(text, 0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i)
    if ((at(text, i) & 0xc0) != 0x80) return 0;
  const auto second = at(text, 1);
  const bool bad = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                   (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
  return bad ? 0 : bytes;
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto bytes = first_character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::optional<std::size_t> printable_characters(std::string_view text) noexcept {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    const auto bytes = first_character_bytes(text);
    if (bytes == 0 || is_control(text.substr(0, bytes))) return std::nullopt;
    text.remove_prefix(bytes);
  }
  return count;
}

std::string as_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto bytes = first_character_bytes(text);
    out.append(bytes == 0 ? "\xef\xbf\xbd" : text.substr(0, bytes));
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return out;
}

std::string_view clipped(std::string_view text, std::size_t bytes_most) noexcept {
  if (text.size() <= bytes_most) return text;
  while (bytes_most > 0 && (at(text, bytes_most) & 0xc0) == 0x80) --bytes_most;
  return text.substr(0, bytes_most);
}

}  // namespace detection
