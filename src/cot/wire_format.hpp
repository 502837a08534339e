#pragma once
// The forms in which an event travels.

#include <cstdint>

namespace detection::cot {

enum class WireFormat : std::uint8_t {
  kXml,       ///< "version 0": XML events back to back
  kFrame,     ///< TAK Protocol v1 on a stream: 0xbf, length, TakMessage
  kDatagram,  ///< TAK Protocol v1 in a datagram or mesh: 0xbf 0x01 0xbf, TakMessage
};

}  // namespace detection::cot
