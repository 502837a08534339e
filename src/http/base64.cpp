#include "http/base64.hpp"

#include <array>
#include <cstdint>

namespace detection::http {
namespace {

constexpr std::uint8_t kBad = 0xff;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kBad);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr auto kValues = make_values();

std::uint32_t value(char c) noexcept {
  return kValues[static_cast<unsigned char>(c)];
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  if (text.empty()) return bytes;
  const std::size_t padding = text.ends_with("==") ? 2 : (text.ends_with("=") ? 1 : 0);
  bytes.resize(text.size() / 4 * 3 - padding);
  std::size_t to = 0;
  const std::size_t whole = text.size() - (padding > 0 ? 4 : 0);
  for (std::size_t i = 0; i < whole; i += 4) {
    const auto a = value(text[i]), b = value(text[i + 1]), c = value(text[i + 2]), d = value(text[i + 3]);
    if ((a | b | c | d) >= 64) return std::nullopt;
    const auto bits = a << 18 | b << 12 | c << 6 | d;
    bytes[to++] = static_cast<char>(bits >> 16);
    bytes[to++] = static_cast<char>(bits >> 8 & 0xff);
    bytes[to++] = static_cast<char>(bits & 0xff);
  }
  if (padding == 0) return bytes;
  const auto a = value(text[whole]), b = value(text[whole + 1]);
  const auto c = padding == 1 ? value(text[whole + 2]) : 0U;
  if ((a | b | c) >= 64) return std::nullopt;
  // Bits behind the last byte must be 0, or two texts would mean one image.
  if (padding == 2 ? (b & 15) != 0 : (c & 3) != 0) return std::nullopt;
  bytes[to++] = static_cast<char>(a << 2 | b >> 4);
  if (padding == 1) bytes[to] = static_cast<char>((b & 15) << 4 | c >> 2);
  return bytes;
}

}  // namespace detection::http
