#include "http/base64.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace detection::http {
namespace {

constexpr std::uint8_t kBad = 0xff;

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kBad);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr auto kValues = make_values();

std::uint32_t value(char c) noexcept {
  return kValues[static_cast<unsigned char>(c)];
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string text;
  text.reserve(base64_bytes(bytes.size()));
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) -> std::uint32_t {
      return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0U;
    };
    const auto bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const std::size_t digits = std::min<std::size_t>(bytes.size() - i, 3) + 1;
    for (std::size_t digit = 0; digit < 4; ++digit)
      text.push_back(digit < digits ? kAlphabet[bits >> (18 - 6 * digit) & 63] : '=');
  }
  return text;
}

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
