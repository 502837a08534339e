#include "detection/uuid.hpp"

namespace detection {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr bool dash_before(std::size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

}  // namespace

std::optional<Uuid> parse_uuid(std::string_view text) noexcept {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  std::size_t pos = 0;
  for (std::size_t byte = 0; byte < 16; ++byte) {
    if (dash_before(byte) && text[pos++] != '-') return std::nullopt;
    const int high = hex_value(text[pos]), low = hex_value(text[pos + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[byte] = static_cast<std::uint8_t>(high * 16 + low);
    pos += 2;
  }
  return id;
}

void append_uuid(std::string& out, const Uuid& id) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t byte = 0; byte < 16; ++byte) {
    if (dash_before(byte)) out.push_back('-');
    out.push_back(kHex[id.bytes[byte] >> 4]);
    out.push_back(kHex[id.bytes[byte] & 15]);
  }
}

std::string to_string(const Uuid& id) {
  std::string out;
  out.reserve(36);
  append_uuid(out, id);
  return out;
}

Uuid uuid_from_hash(const std::array<std::uint8_t, 32>& hash) noexcept {
  Uuid id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = hash[i];
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

Uuid UuidMint::mint(UtcMicros now) noexcept {
  std::int64_t ms = now.count / 1000;
  if (ms > last_ms_) {
    last_ms_ = ms;
    counter_ = static_cast<std::uint32_t>(random_() & 0x1ff);  // room above it for the ids of the same millisecond
  } else if (++counter_ > 0xfff) {
    ++last_ms_;  // RFC 9562 section 6.2: run ahead of the clock rather than out of order
    counter_ = 0;
  }
  ms = last_ms_;
  const std::uint64_t tail = random_();
  Uuid id;
  for (std::size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (counter_ >> 8));
  id.bytes[7] = static_cast<std::uint8_t>(counter_);
  for (std::size_t i = 0; i < 8; ++i) id.bytes[8 + i] = static_cast<std::uint8_t>(tail >> (56 - 8 * i));
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

}  // namespace detection
