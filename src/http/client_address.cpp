#include "http/client_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace detection::http {
namespace {

constexpr unsigned kMappedBits = 96;
constexpr std::size_t kHopsMost = 32;

bool is_mapped(const ClientAddress& address) noexcept {
  static constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kPrefix.begin(), kPrefix.end(), address.begin());
}

bool same_prefix(const ClientAddress& a, const ClientAddress& b, unsigned bits) noexcept {
  const auto bytes = bits / 8;
  if (std::memcmp(a.data(), b.data(), bytes) != 0) return false;
  const auto rest = bits % 8;
  return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// One entry of X-Forwarded-For: "192.0.2.7", "192.0.2.7:4711", "2001:db8::1", "[2001:db8::1]:4711".
std::optional<ClientAddress> parse_hop(std::string_view text) noexcept {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    return parse_address(text.substr(1, end - 1));
  }
  const auto colon = text.find(':');
  const bool one_colon = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
  return parse_address(one_colon ? text.substr(0, colon) : text);
}

}  // namespace

std::optional<ClientAddress> parse_address(std::string_view text) noexcept {
  char buffer[INET6_ADDRSTRLEN] = {};
  if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  ClientAddress address{};
  if (in_addr v4{}; ::inet_pton(AF_INET, buffer, &v4) == 1) {
    address[10] = address[11] = 0xff;
    std::memcpy(address.data() + 12, &v4, 4);
    return address;
  }
  if (::inet_pton(AF_INET6, buffer, address.data()) == 1) return address;
  return std::nullopt;
}

std::string address_text(const ClientAddress& address) {
  char buffer[INET6_ADDRSTRLEN] = {};
  const bool v4 = is_mapped(address);
  ::inet_ntop(v4 ? AF_INET : AF_INET6, address.data() + (v4 ? 12 : 0), buffer, sizeof buffer);
  return buffer;
}

bool AddressBlock::contains(const ClientAddress& other) const noexcept {
  return same_prefix(address, other, std::min(prefix_bits, 128U));
}

Result<AddressBlock> parse_address_block(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::kConfiguration, "'" + std::string(text) + "' is no block of addresses (" + std::string(why) +
                                               "); write 10.0.0.0/8, fd00::/8 or 192.0.2.7");
  };
  const auto slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return wrong("the address must be a numeric one");
  const bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  const unsigned most = v4 ? 32 : 128;
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || bits > most)
      return wrong("the prefix must be from 0 to " + std::to_string(most));
  }
  AddressBlock block{*address, v4 ? bits + kMappedBits : bits};
  // 10.1.2.3/8 is more often a slip than a wish.
  for (unsigned bit = block.prefix_bits; bit < 128; ++bit)
    if ((block.address[bit / 8] >> (7 - bit % 8) & 1) != 0) return wrong("bits behind the prefix are set");
  return block;
}

ClientAddress client_address(const ClientAddress& peer, std::string_view forwarded_for,
                             std::span<const AddressBlock> trusted) noexcept {
  const auto is_trusted = [&](const ClientAddress& address) {
    return std::ranges::any_of(trusted, [&](const AddressBlock& block) { return block.contains(address); });
  };
  auto client = peer;
  for (std::size_t hops = 0; hops < kHopsMost && is_trusted(client) && !trimmed(forwarded_for).empty(); ++hops) {
    const auto comma = forwarded_for.rfind(',');
    const auto entry = comma == std::string_view::npos ? forwarded_for : forwarded_for.substr(comma + 1);
    const auto hop = parse_hop(trimmed(entry));
    if (!hop) break;
    client = *hop;
    forwarded_for = comma == std::string_view::npos ? std::string_view{} : forwarded_for.substr(0, comma);
  }
  return client;
}

ClientNetwork network_of(const ClientAddress& address) noexcept {
  ClientNetwork network{address};
  if (!is_mapped(address)) std::fill(network.address.begin() + 8, network.address.end(), std::uint8_t{0});
  return network;
}

std::string network_text(const ClientNetwork& network) {
  return address_text(network.address) + (is_mapped(network.address) ? "" : "/64");
}

}  // namespace detection::http
