#include "klv/packets.hpp"

#include <algorithm>
#include <array>

namespace detection::klv {
namespace {

// The Universal Label of the UAS Datalink Local Set (ST 0601 section 6.2).
constexpr std::array<std::uint8_t, 16> kKey{0x06, 0x0e, 0x2b, 0x34, 0x02, 0x0b, 0x01, 0x01,
                                            0x0e, 0x01, 0x03, 0x01, 0x01, 0x00, 0x00, 0x00};
/// Octets of the key that a damaged stream may have lost; the search is for what remains.
constexpr std::size_t kLostOctets = 5;
constexpr std::size_t kTailOctets = kKey.size() - kLostOctets;
constexpr std::uint32_t kChecksumTag = 1;

/// ST 0601's sum: octets alternately into the high and the low byte, over the full 16-octet key (whether or not the
/// stream still had it), the length and the value up to the checksum's own length octet.
std::uint16_t running_sum(Bytes length_and_value) {
  std::uint32_t sum = 0;
  std::size_t index = 0;
  const auto add = [&](std::uint8_t octet) { sum += static_cast<std::uint32_t>(octet) << (8 * ((index++ + 1) % 2)); };
  for (const auto octet : kKey) add(octet);
  for (const auto octet : length_and_value) add(octet);
  return static_cast<std::uint16_t>(sum);
}

/// `framed` is the length field and the value.
bool checksum_agrees(Bytes framed, Bytes value) {
  ItemReader items(value);
  std::optional<Item> last;
  while (const auto item = items.next()) last = item;
  if (items.broken() || !last || last->tag != kChecksumTag || last->value.size() != 2) return false;
  const auto stated = static_cast<std::uint16_t>(last->value[0] << 8 | last->value[1]);
  return running_sum(framed.first(framed.size() - 2)) == stated;
}

}  // namespace

std::optional<std::size_t> read_ber_length(Bytes bytes, std::size_t& at) noexcept {
  if (at >= bytes.size()) return std::nullopt;
  const std::uint8_t first = bytes[at++];
  if (first < 0x80) return first;
  const std::size_t octets = first & 0x7fU;
  if (octets == 0 || octets > 4 || octets > bytes.size() - at) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < octets; ++i) length = length << 8 | bytes[at++];
  return length;
}

std::optional<std::uint32_t> read_ber_oid(Bytes bytes, std::size_t& at) noexcept {
  std::uint32_t tag = 0;
  for (int octets = 0; octets < 4 && at < bytes.size(); ++octets) {
    const std::uint8_t octet = bytes[at++];
    tag = tag << 7 | (octet & 0x7fU);
    if (octet < 0x80) return tag;
  }
  return std::nullopt;
}

std::optional<Packet> PacketReader::next() {
  while (true) {
    const auto rest = bytes_.subspan(position_);
    const auto found = std::search(rest.begin(), rest.end(), kKey.begin() + kLostOctets, kKey.end());
    if (found == rest.end()) {
      skipped_ += rest.size();
      position_ = bytes_.size();
      return std::nullopt;
    }
    const std::size_t tail = position_ + static_cast<std::size_t>(found - rest.begin());
    const bool whole =
        tail >= position_ + kLostOctets && std::equal(kKey.begin(), kKey.begin() + kLostOctets,
                                                      bytes_.begin() + static_cast<std::ptrdiff_t>(tail - kLostOctets));
    const std::size_t key_start = whole ? tail - kLostOctets : tail;
    std::size_t at = tail + kTailOctets;
    const std::size_t length_start = at;
    const auto length = read_ber_length(bytes_, at);
    if (!length || *length > kValueBytesMost || *length > bytes_.size() - at) {
      skipped_ += tail + kTailOctets - position_;
      position_ = tail + kTailOctets;
      continue;
    }
    skipped_ += key_start - position_;
    const auto value = bytes_.subspan(at, *length);
    const bool agrees = checksum_agrees(bytes_.subspan(length_start, at + *length - length_start), value);
    // A length that was damaged may span packets that were not: with a wrong sum it is not trusted to skip them.
    const auto hidden = std::search(value.begin(), value.end(), kKey.begin() + kLostOctets, kKey.end());
    const bool swallowed = !agrees && hidden != value.end();
    position_ = swallowed ? at : at + *length;
    return Packet{value, !whole, agrees};
  }
}

std::optional<Item> ItemReader::next() {
  if (broken_ || position_ == bytes_.size()) return std::nullopt;
  const auto tag = read_ber_oid(bytes_, position_);
  const auto length = tag ? read_ber_length(bytes_, position_) : std::nullopt;
  if (!length || *length > bytes_.size() - position_) {
    broken_ = true;
    return std::nullopt;
  }
  const Item item{*tag, bytes_.subspan(position_, *length)};
  position_ += *length;
  return item;
}

}  // namespace detection::klv
