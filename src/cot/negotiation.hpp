#pragma once
// The texts by which a TAK server and a client come to speak TAK Protocol v1 on a stream, and the message by which a
// client says who it is to an input with passwords. The server starts: it offers versions (`t-x-takp-v`), the client
// asks for one (`t-x-takp-q`) and sends nothing until the server has answered (`t-x-takp-r`); all three have one uid,
// the server's. Pure functions, any thread. Facts: the behaviour of TAK Server, ATAK and GoATAK.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detection/time.hpp"

namespace detection::cot {

/// The one version of the protocol that frame.hpp writes.
inline constexpr std::uint32_t kProtocolVersion = 1;

struct ProtocolOffer {
  std::string uid;  ///< of the transaction: the request must have the same
  /// As stated, in order, also versions that nobody knows; what is no whole number is left out. May be empty.
  std::vector<std::uint32_t> versions;
};

/// The offer in an event's XML; nothing for every other event and for text that is no event. Quick for those: only
/// what calls itself an offer is parsed. Events are at most 64 KiB here; neither a point nor times are asked for.
[[nodiscard]] std::optional<ProtocolOffer> read_protocol_offer(std::string_view xml);

struct ProtocolResponse {
  std::string uid;
  bool accepted = false;  ///< `status` is "true" or "1", in any case; everything else is a refusal
};

/// The answer to a request; nothing, as above, also where an answer has no `TakResponse`.
[[nodiscard]] std::optional<ProtocolResponse> read_protocol_response(std::string_view xml);

/// Asks for `version`. Appended in the form of event.hpp.
void append_protocol_request_xml(std::string& out, std::string_view uid, std::uint32_t version, UtcMicros now);

/// `<auth><cot .../></auth>`, without an XML header, pure ASCII: must be the first bytes of a connection. The callsign
/// is the uid. Line ends, tabs and control characters cannot be said in it and would be altered.
void append_auth_xml(std::string& out, std::string_view username, std::string_view password, std::string_view uid);

}  // namespace detection::cot
