#pragma once
// Whose request it is, as far as the network says, and how addresses are written.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/exchange.hpp"
#include "http/service.hpp"

namespace detection::http {

/// Numeric IPv4 or IPv6, without brackets, port or zone.
[[nodiscard]] std::optional<ClientAddress> parse_address(std::string_view text) noexcept;
[[nodiscard]] std::string address_text(const ClientAddress& address);

/// The peer; where that is a trusted proxy, the right-most address of X-Forwarded-For that is none. What cannot be read
/// ends the walk: then the nearest hop that was readable counts. A port behind an address is passed over.
[[nodiscard]] ClientAddress client_address(const ClientAddress& peer, std::string_view forwarded_for,
                                           std::span<const AddressBlock> trusted) noexcept;

/// What counts as one client: an IPv4 address, the first 64 bits of an IPv6 one (a subscriber has all of those).
struct ClientNetwork {
  ClientAddress address{};  ///< zero behind the prefix
  [[nodiscard]] std::string_view bytes() const noexcept {
    return {reinterpret_cast<const char*>(address.data()), address.size()};
  }
  friend auto operator<=>(const ClientNetwork&, const ClientNetwork&) = default;
};
[[nodiscard]] ClientNetwork network_of(const ClientAddress& address) noexcept;
/// "192.0.2.7", "2001:db8::/64".
[[nodiscard]] std::string network_text(const ClientNetwork& network);

}  // namespace detection::http
