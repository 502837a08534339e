#include <algorithm>
#include <charconv>
#include <iterator>

#include "tak/sink.hpp"

namespace detection::tak {
namespace {

struct SchemeName {
  Scheme scheme;
  std::string_view name;
};
constexpr SchemeName kSchemes[] = {{Scheme::kTcp, "tcp"},
                                   {Scheme::kTls, "tls"},
                                   {Scheme::kTls, "ssl"},
                                   {Scheme::kUdp, "udp"},
                                   {Scheme::kFile, "file"}};

std::unexpected<Error> bad(std::string_view rule) {
  return fail(ErrorCode::kConfiguration, "TAK sink address: " + std::string(rule),
              {{.field = "sink", .message = std::string(rule)}});
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool ipv6_character(char c) {
  // '%' and what follows it: the zone of a link-local address.
  return host_character(c) || c == ':' || c == '%';
}

bool all_of(std::string_view text, bool (*good)(char)) {
  for (const char c : text) {
    if (!good(c)) return false;
  }
  return true;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty()) return bad("the port is missing: tcp://host:port");
  unsigned value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc::invalid_argument || end != text.data() + text.size()) {
    return bad("the port is a whole number from 1 to 65535, not '" + std::string(text) + "'");
  }
  if (code != std::errc{} || value == 0 || value > 65'535) return bad("the port is from 1 to 65535");
  return static_cast<std::uint16_t>(value);
}

}  // namespace

Result<SinkAddress> parse_sink_address(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return bad("it is tcp://host:port, and '://' is missing");
  const std::string_view scheme = url.substr(0, colon);
  const auto* known =
      std::find_if(std::begin(kSchemes), std::end(kSchemes), [&](const SchemeName& one) { return one.name == scheme; });
  if (known == std::end(kSchemes))
    return bad("unknown scheme '" + std::string(scheme) + "'; there are tcp://, tls://, udp:// and file://");
  SinkAddress address{.scheme = known->scheme, .host = {}, .port = 0, .path = {}};

  std::string_view rest = url.substr(colon + 3);
  if (address.scheme == Scheme::kFile) {
    if (!rest.starts_with('/')) return bad("a file is named by its whole path: file:///var/lib/events.cot");
    if (rest.ends_with('/')) return bad("a file is named, not a folder");
    if (rest.find_first_of("?#") != std::string_view::npos || rest.find('\0') != std::string_view::npos)
      return bad("nothing may follow the path");
    address.path = rest;
    return address;
  }
  // The text before '@' may be a password: it is never repeated in the message.
  if (rest.find('@') != std::string_view::npos) return bad("user and password do not belong in the address");
  if (const std::size_t slash = rest.find_first_of("/?#"); slash != std::string_view::npos) {
    return bad("nothing may follow the port, no path and no query");
  }

  std::string_view host;
  if (rest.starts_with('[')) {
    const std::size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return bad("']' is missing after the IPv6 address");
    host = rest.substr(1, bracket - 1);
    rest.remove_prefix(bracket + 1);
    if (host.find(':') == std::string_view::npos || !all_of(host, ipv6_character)) {
      return bad("between brackets stands an IPv6 address, not '" + std::string(host) + "'");
    }
    if (!rest.empty() && rest.front() != ':') return bad("after ']' comes ':' and the port");
  } else {
    const std::size_t last = rest.rfind(':');
    host = rest.substr(0, last);
    if (host.find(':') != std::string_view::npos) return bad("an IPv6 address stands in brackets: tcp://[::1]:8087");
    rest = last == std::string_view::npos ? std::string_view{} : rest.substr(last);
    if (host.empty()) return bad("the host is missing: tcp://host:port");
    if (host.size() > 253 || !all_of(host, host_character))
      return bad("the host holds a character that no host name has");
  }
  const auto port = parse_port(rest.empty() ? rest : rest.substr(1));
  if (!port) return std::unexpected(port.error());
  address.host = host;
  address.port = *port;
  return address;
}

std::string sink_url(const SinkAddress& address) {
  const auto* known = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                   [&](const SchemeName& one) { return one.scheme == address.scheme; });
  std::string url = std::string(known->name) + "://";
  if (address.scheme == Scheme::kFile) return url + address.path;
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return url + (ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace detection::tak
