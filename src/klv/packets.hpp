#pragma once
// MISB ST 0601 packets in a stream of bytes (SMPTE ST 336 key-length-value). Nothing is copied: a packet's value is a
// view into the caller's bytes. Never reads outside them, whatever they hold.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace detection::klv {

using Bytes = std::span<const std::uint8_t>;

/// One UAS Datalink Local Set as found.
struct Packet {
  Bytes value;                ///< the local set: tags, lengths, values
  bool key_restored = false;  ///< the first five octets of the key were missing (a known transport damage)
  bool checksum_ok = false;   ///< tag 1, the running 16-bit sum over key to its own length octet, agrees
};

/// Walks a buffer packet by packet. Bytes that belong to no packet are skipped and counted; a key whose packet does not
/// fit in the buffer (cut off, or a length beyond reason) counts as skipped and the search goes on behind its key.
/// A packet whose checksum is wrong and whose value holds another key is not trusted with its length: the search goes
/// on inside it, so that values of such packets may overlap later ones.
class PacketReader {
 public:
  /// A local set longer than this is not believed.
  static constexpr std::size_t kValueBytesMost = 65'536;

  explicit PacketReader(Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] std::optional<Packet> next();
  [[nodiscard]] std::size_t skipped_bytes() const noexcept { return skipped_; }

 private:
  Bytes bytes_;
  std::size_t position_ = 0;
  std::size_t skipped_ = 0;
};

/// BER length (ISO/IEC 8825-1 section 8.1.3): short form, or long form of 1 to 4 octets. Advances `at`; nothing when it
/// does not fit or is indefinite.
[[nodiscard]] std::optional<std::size_t> read_ber_length(Bytes bytes, std::size_t& at) noexcept;

/// BER-OID tag (base 128, most significant first), at most 4 octets.
[[nodiscard]] std::optional<std::uint32_t> read_ber_oid(Bytes bytes, std::size_t& at) noexcept;

/// One item of a local set.
struct Item {
  std::uint32_t tag = 0;
  Bytes value;
};

/// The items of a local set in order; ends at the first one that does not fit (`broken()` then).
class ItemReader {
 public:
  explicit ItemReader(Bytes value) : bytes_(value) {}
  [[nodiscard]] std::optional<Item> next();
  [[nodiscard]] bool broken() const noexcept { return broken_; }

 private:
  Bytes bytes_;
  std::size_t position_ = 0;
  bool broken_ = false;
};

}  // namespace detection::klv
