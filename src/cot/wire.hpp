#pragma once
// Protobuf's wire format, as far as TakMessage uses it. For this room only. Source: protobuf.dev, "Encoding".

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "cot/text_writer.hpp"

namespace detection::cot {

inline constexpr std::size_t kVarintBytesMost = 10;

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr std::size_t varint_bytes(std::uint64_t value) noexcept {
  return static_cast<std::size_t>(std::bit_width(value | 1) + 6) / 7;
}

inline void write_varint(TextWriter& out, std::uint64_t value) noexcept {
  for (; value >= 0x80; value >>= 7) out.byte(static_cast<char>(value | 0x80));
  out.byte(static_cast<char>(value));
}

inline void write_double(TextWriter& out, double value) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (unsigned int shift = 0; shift < 64; shift += 8) out.byte(static_cast<char>(bits >> shift));
}

/// A length in front of something whose length is not known yet: room for the bytes that it probably takes.
class LengthPlace {
 public:
  LengthPlace(TextWriter& out, std::size_t probable_bytes) noexcept : place_(out.at()), room_(probable_bytes) {
    out.skip(room_);
  }
  /// Everything written since is what it is the length of. Moves that when the guess was wrong; `out` then needs room
  /// for the bytes more.
  void close(TextWriter& out) const noexcept {
    const auto size = static_cast<std::size_t>(out.at() - place_) - room_;
    const std::size_t bytes = varint_bytes(size);
    if (bytes != room_) std::memmove(place_ + bytes, place_ + room_, size);
    out.back_to(place_);
    write_varint(out, size);
    out.skip(size);
  }

 private:
  char* place_;
  std::size_t room_;
};

/// One field of a message; `value` of kVarint, `bytes` of kBytes.
struct WireField {
  std::uint64_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t value = 0;
  std::string_view bytes;
};

/// Takes a varint from the front; nothing when it is cut off or has more than 64 bits.
[[nodiscard]] std::optional<std::uint64_t> take_varint(std::string_view& bytes) noexcept;
/// Takes a field from the front; nothing at a field that is cut off, or of a type (groups) that TakMessage has not.
[[nodiscard]] std::optional<WireField> take_field(std::string_view& bytes) noexcept;

}  // namespace detection::cot
