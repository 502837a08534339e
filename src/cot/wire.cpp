#include "cot/wire.hpp"

#include <algorithm>

namespace detection::cot {

std::optional<std::uint64_t> take_varint(std::string_view& bytes) noexcept {
  std::uint64_t value = 0;
  const std::size_t most = std::min(bytes.size(), kVarintBytesMost);
  for (std::size_t i = 0; i < most; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (i == kVarintBytesMost - 1 && byte > 1) return std::nullopt;
    value |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if (byte >= 0x80) continue;
    bytes.remove_prefix(i + 1);
    return value;
  }
  return std::nullopt;
}

std::optional<WireField> take_field(std::string_view& bytes) noexcept {
  const auto tag = take_varint(bytes);
  // Numbers have 29 bits.
  if (!tag || *tag < 8 || *tag > UINT32_MAX) return std::nullopt;
  WireField field;
  field.number = *tag >> 3;
  std::uint64_t size = 0;
  switch (*tag & 7) {
    case 0: {
      const auto value = take_varint(bytes);
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case 1:
      field.type = WireType::kFixed64;
      size = 8;
      break;
    case 2: {
      field.type = WireType::kBytes;
      const auto stated = take_varint(bytes);
      if (!stated) return std::nullopt;
      size = *stated;
      break;
    }
    case 5:
      field.type = WireType::kFixed32;
      size = 4;
      break;
    default: return std::nullopt;
  }
  if (size > bytes.size()) return std::nullopt;
  field.bytes = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return field;
}

}  // namespace detection::cot
