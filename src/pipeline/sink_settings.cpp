#include "pipeline/sink_settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <vector>

#include "cot/event_type.hpp"

namespace detection::pipeline {
namespace {

constexpr std::int64_t kCountMost = std::int64_t{1} << 53;
constexpr double kRateMost = 1e6;
constexpr std::size_t kListMost = 256, kTextMost = 256;

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (!high || !low) return std::nullopt;
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out.push_back(c);
  }
  if (out.empty() || out.size() > kTextMost) return std::nullopt;
  return out;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> whole(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

std::vector<std::string_view> parts(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const auto end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

/// Each decoded after the split, so that "%2C" is part of a text.
bool read_list(std::string_view value, std::vector<std::string>& list, bool (*good)(std::string_view)) {
  for (const auto part : parts(value, ',')) {
    auto text = decoded(part);
    if (!text || !good(*text) || list.size() == kListMost) return false;
    list.push_back(std::move(*text));
  }
  return true;
}

bool any_text(std::string_view) {
  return true;
}

bool type_pattern(std::string_view text) {
  if (text == "*") return true;
  if (text.ends_with('*')) text.remove_suffix(1);
  if (text.empty() || text.size() > cot::kTypeBytesMost) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

bool read_type(std::string_view v, SinkSetup& s) {
  return read_list(v, s.filter.types, type_pattern);
}
bool read_source(std::string_view v, SinkSetup& s) {
  return read_list(v, s.filter.sources, any_text);
}
bool read_class(std::string_view v, SinkSetup& s) {
  return read_list(v, s.filter.classes, any_text);
}

bool read_flag(std::string_view v, SinkSetup& s) {
  for (const auto part : parts(v, ',')) {
    const auto flag = parse_flag(part);
    if (!flag) return false;
    s.filter.flags = static_cast<std::uint8_t>(s.filter.flags | 1U << static_cast<unsigned>(*flag));
  }
  return true;
}

bool read_area(std::string_view v, SinkSetup& s) {
  const auto text = decoded(v);
  if (!text) return false;
  const auto edges = parts(*text, ',');
  if (edges.size() != 4) return false;
  std::array<double, 4> degrees{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto edge = number(edges[i]);
    if (!edge || std::abs(*edge) > (i % 2 == 0 ? 180 : 90)) return false;
    degrees[i] = *edge;
  }
  if (degrees[1] > degrees[3]) return false;
  s.filter.area = store::BoundingBox{degrees[0], degrees[1], degrees[2], degrees[3]};
  return true;
}

bool read_rate(std::string_view v, SinkSetup& s) {
  double seconds = 1;
  for (const auto& [unit, length] :
       {std::pair<std::string_view, double>{"/s", 1}, {"/m", 60}, {"/min", 60}, {"/h", 3600}})
    if (v.ends_with(unit)) {
      seconds = length;
      v.remove_suffix(unit.size());
      break;
    }
  const auto events = number(v);
  if (!events || !(*events > 0) || *events / seconds > kRateMost) return false;
  s.rate_per_s = *events / seconds;
  return true;
}

bool read_keep(std::string_view v, SinkSetup& s) {
  const auto text = decoded(v);
  if (!text) return false;
  if (*text != "all" && *text != "latest" && *text != "fresh" && *text != "latest+fresh") return false;
  s.keep = {text->starts_with("latest"), text->ends_with("fresh")};
  return true;
}

bool read_queue_items(std::string_view v, SinkSetup& s) {
  s.queue_items = whole(v, 1, kCountMost);
  return s.queue_items.has_value();
}
bool read_queue_bytes(std::string_view v, SinkSetup& s) {
  s.queue_bytes = parse_bytes(v);
  return s.queue_bytes.has_value();
}

bool read_text(std::string_view v, std::string& to) {
  auto text = decoded(v);
  if (!text) return false;
  to = std::move(*text);
  return true;
}
bool read_credentials(std::string_view v, SinkSetup& s) {
  return read_text(v, s.sink.tls.credentials);
}
bool read_expected_name(std::string_view v, SinkSetup& s) {
  return read_text(v, s.sink.tls.expected_name) && s.sink.tls.expected_name.size() <= 253;
}
bool read_interface(std::string_view v, SinkSetup& s) {
  return read_text(v, s.sink.interface);
}

bool read_pin(std::string_view v, SinkSetup& s) {
  const auto text = decoded(v);
  if (!text) return false;
  std::string digits;
  for (const char c : *text) {
    if (c == ':') continue;
    if (!hex_digit(c)) return false;
    digits.push_back(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  s.sink.tls.pin_sha256 = digits;
  return digits.size() == 64;
}

bool read_protocol(std::string_view v, SinkSetup& s) {
  const bool datagrams = s.sink.address.scheme == tak::Scheme::kUdp;
  if (v == "xml")
    s.sink.protocol = tak::ProtocolChoice::kXml;
  else if (v == "negotiate" && !datagrams)
    s.sink.protocol = tak::ProtocolChoice::kNegotiate;
  else if (v == "protobuf" && datagrams)
    s.sink.protocol = tak::ProtocolChoice::kProtobuf;
  else
    return false;
  return true;
}

bool read_ttl(std::string_view v, SinkSetup& s) {
  const auto hops = whole(v, 0, 255);
  if (hops) s.sink.multicast_ttl = static_cast<int>(*hops);
  return hops.has_value();
}

constexpr std::uint8_t bit(tak::Scheme scheme) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(scheme));
}
constexpr std::uint8_t kTcp = bit(tak::Scheme::kTcp), kTls = bit(tak::Scheme::kTls), kUdp = bit(tak::Scheme::kUdp),
                       kStreams = kTcp | kTls, kAll = kStreams | kUdp | bit(tak::Scheme::kFile);

std::string names_of(std::uint8_t schemes) {
  std::string out;
  for (const auto& [scheme, name] : {std::pair{tak::Scheme::kTcp, "tcp"},
                                     {tak::Scheme::kTls, "tls"},
                                     {tak::Scheme::kUdp, "udp"},
                                     {tak::Scheme::kFile, "file"}})
    if ((schemes & bit(scheme)) != 0) out.append(out.empty() ? "" : ", ").append(name).append("://");
  return out;
}

std::unexpected<Error> bad(std::string_view setting, const std::string& rule) {
  return fail(ErrorCode::kConfiguration, "TAK sink setting " + std::string(setting) + ": " + rule,
              {{.field = std::string(setting), .message = rule}});
}

Result<void> read_setting(std::string_view pair, SinkSetup& setup, std::set<std::string_view>& seen) {
  const auto equals = pair.find('=');
  const auto name = decoded(pair.substr(0, equals));
  const auto table = sink_setting_table();
  const auto known = std::ranges::find_if(table, [&](const SinkSetting& one) { return name && one.name == *name; });
  if (known == table.end()) {
    std::string all;
    for (const auto& one : table) all.append(all.empty() ? "" : ", ").append(one.name);
    return bad(name.value_or("''"), "there is no such setting; there are " + all);
  }
  if (!seen.insert(known->name).second) return bad(known->name, "is given twice");
  if ((known->schemes >> static_cast<unsigned>(setup.sink.address.scheme) & 1) == 0)
    return bad(known->name, "is only for " + names_of(known->schemes));
  if (equals == std::string_view::npos || !known->read(pair.substr(equals + 1), setup))
    return bad(known->name, "must be " + std::string(known->form));
  return {};
}

}  // namespace

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30},   {"TiB", 1LL << 40},
      {"kB", 1'000},      {"MB", 1'000'000},  {"GB", 1'000'000'000}};
  std::int64_t unit = 1;
  for (const auto& [name, size] : kUnits)
    if (text.ends_with(name)) {
      unit = size;
      text.remove_suffix(name.size());
      break;
    }
  const auto count = whole(text, 1, kCountMost / unit);
  return count ? std::optional(*count * unit) : std::nullopt;
}

std::span<const SinkSetting> sink_setting_table() {
  static constexpr SinkSetting kTable[] = {
      {"type", "CoT types with commas between them, each maybe with '*' at its end: a-f-*,b-m-p-s-p-i",
       "only events of these CoT types", kAll, read_type},
      {"flag", "GREEN, YELLOW, RED with commas between them",
       "only events of these flags; what a person released goes whatever its flag", kAll, read_flag},
      {"source", "sources with commas between them, each maybe with '*' at its end: uav-*,tower-1",
       "only detections of these sources", kAll, read_source},
      {"class", "object classes with commas between them, each maybe with '*' at its end: vehicle,person",
       "only detections of these object classes", kAll, read_class},
      {"area", "west,south,east,north in degrees, south at most north; west over east crosses the antimeridian",
       "only detections in this area", kAll, read_area},
      {"rate", "a number of events over 0 and at most 1000000 a second: 200, 200/s, 60/m or 1000/h",
       "cap on the events sent, on the average; at most those of one second at once", kAll, read_rate},
      {"keep", "all, latest, fresh or latest+fresh",
       "what of a backlog is sent: all of it; of each uid the latest; what is not stale by --cot-stale. What a person "
       "released and take-backs are always sent",
       kAll, read_keep},
      {"queue_items", "a whole number over 0", "limit of this sink's queue in place of --queue-max-items", kAll,
       read_queue_items},
      {"queue_bytes", "a whole number over 0, or with a unit: 500MB, 20GiB", "the same in place of --queue-max-bytes",
       kAll, read_queue_bytes},
      {"credentials", "a folder", "username, password, tls.crt, tls.key and ca.crt of this sink", kStreams,
       read_credentials},
      {"expected_name", "a host name", "in the server's certificate, in place of the address's host", kTls,
       read_expected_name},
      {"pin_sha256", "64 hexadecimal digits; colons may stand between them",
       "SHA-256 of the server's certificate (DER): only that one is accepted, whatever its name and issuer", kTls,
       read_pin},
      {"protocol", "negotiate or xml on a stream, xml or protobuf in datagrams",
       "negotiate: XML, and TAK Protocol v1 after the server's offer", kStreams | kUdp, read_protocol},
      {"interface", "the name or an address of a network interface", "out of which multicast goes", kUdp,
       read_interface},
      {"ttl", "a whole number from 0 to 255", "hops that multicast may take; 1: this network only", kUdp, read_ttl},
  };
  return kTable;
}

Result<SinkSetup> parse_sink(std::string_view url) {
  SinkSetup setup;
  const auto question = url.find('?');
  auto address = tak::parse_sink_address(url.substr(0, question));
  if (!address) return std::unexpected(std::move(address.error()));
  setup.sink.address = std::move(*address);
  if (question == std::string_view::npos) return setup;
  std::set<std::string_view> seen;
  for (const auto pair : parts(url.substr(question + 1), '&'))
    if (auto done = read_setting(pair, setup, seen); !done) return std::unexpected(std::move(done.error()));
  return setup;
}

std::string sink_settings_markdown() {
  std::string out = "| setting | value | what | for |\n|---|---|---|---|\n";
  for (const auto& one : sink_setting_table())
    out.append("| `")
        .append(one.name)
        .append("` | ")
        .append(one.form)
        .append(" | ")
        .append(one.help)
        .append(" | ")
        .append(one.schemes == kAll ? "all" : names_of(one.schemes))
        .append(" |\n");
  return out;
}

}  // namespace detection::pipeline
