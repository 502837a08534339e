#include "tak/wire_frames.hpp"

#include <bit>
#include <cstdint>

namespace detection::tak {
namespace {

constexpr unsigned char kMagic = 0xbf;
constexpr std::uint64_t kFrameMost = 64u << 20;
enum Wire : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(static_cast<unsigned char>(value) | 0x80U));
  out.push_back(static_cast<char>(value));
}

void put_number(std::string& out, unsigned field, std::uint64_t value) {
  put_varint(out, field << 3 | kVarint);
  put_varint(out, value);
}

void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_varint(out, field << 3 | kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

void put_double(std::string& out, unsigned field, double value) {
  put_varint(out, field << 3 | kFixed64);
  auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i, bits >>= 8) out.push_back(static_cast<char>(bits & 0xffU));
}

/// Nothing when it ends too early or is longer than 10 bytes.
std::optional<std::uint64_t> take_varint(std::string_view& rest) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 10 && i < rest.size(); ++i) {
    const auto byte = static_cast<unsigned char>(rest[i]);
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << (7 * i);
    if ((byte & 0x80U) == 0) {
      rest.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

struct Field {
  std::uint64_t number = 0;
  std::string_view bytes{};  ///< of kBytes
};

std::optional<Field> take_field(std::string_view& rest) {
  const auto key = take_varint(rest);
  if (!key) return std::nullopt;
  Field field{.number = *key >> 3};
  std::uint64_t size = 0;
  switch (*key & 7U) {
    case kVarint:
      if (!take_varint(rest)) return std::nullopt;
      return field;
    case kFixed64: size = 8; break;
    case kFixed32: size = 4; break;
    case kBytes: {
      const auto length = take_varint(rest);
      if (!length) return std::nullopt;
      size = *length;
      break;
    }
    default: return std::nullopt;
  }
  if (size > rest.size()) return std::nullopt;
  field.bytes = rest.substr(0, static_cast<std::size_t>(size));
  rest.remove_prefix(static_cast<std::size_t>(size));
  return field;
}

}  // namespace

std::string hand_made_frame(const FrameEvent& event, UtcMicros time, std::size_t bytes) {
  const auto ms = static_cast<std::uint64_t>(time.count / 1'000);
  std::string cot;
  put_bytes(cot, 1, event.type);
  put_bytes(cot, 5, event.uid);
  put_number(cot, 6, ms);
  put_number(cot, 7, ms);
  put_number(cot, 8, ms + 3'600'000);
  put_bytes(cot, 9, "m-i");
  put_double(cot, 10, 40.7128);
  put_double(cot, 11, -74.006);
  put_double(cot, 12, 10);
  put_double(cot, 13, 5);
  put_double(cot, 14, 9999999.0);
  if (cot.size() < bytes) {
    std::string detail;
    put_bytes(detail, 1, "<remarks>" + std::string(bytes - cot.size(), '.') + "</remarks>");
    put_bytes(cot, 15, detail);
  }
  std::string message;
  put_bytes(message, 2, cot);
  std::string frame(1, static_cast<char>(kMagic));
  put_varint(frame, message.size());
  return frame + message;
}

FrameCut cut_frame(std::string_view stream) {
  if (stream.empty()) return {};
  if (static_cast<unsigned char>(stream[0]) != kMagic) return {.what = FrameCut::What::kBroken};
  std::string_view rest = stream.substr(1);
  const auto length = take_varint(rest);
  if (!length) return {.what = stream.size() > 10 ? FrameCut::What::kBroken : FrameCut::What::kIncomplete};
  if (*length > kFrameMost) return {.what = FrameCut::What::kBroken};
  if (rest.size() < *length) return {};
  const auto size = static_cast<std::size_t>(*length);
  return {.what = FrameCut::What::kWhole, .message = rest.substr(0, size), .size = stream.size() - rest.size() + size};
}

std::optional<FrameEvent> read_message(std::string_view message) {
  std::optional<FrameEvent> event;
  while (!message.empty()) {
    const auto outer = take_field(message);
    if (!outer) return std::nullopt;
    if (outer->number != 2) continue;
    event.emplace();
    for (std::string_view cot = outer->bytes; !cot.empty();) {
      const auto inner = take_field(cot);
      if (!inner) return std::nullopt;
      if (inner->number == 1) event->type = inner->bytes;
      if (inner->number == 5) event->uid = inner->bytes;
    }
  }
  return event;
}

}  // namespace detection::tak
