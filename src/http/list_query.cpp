#include "http/list_query.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace detection::http {
namespace {

// A multiplication modulo 2^64 and its inverse: a bijection, so that a cursor made up by hand is nearly never one.
constexpr std::uint64_t kScramble = 0x9e37'79b9'7f4a'7c15, kUnscramble = 0xf1de'83e1'9937'733d;
static_assert(kScramble * kUnscramble == 1);
constexpr std::uint64_t kMask = 0x5bf0'3635'1a2c'48d9;
constexpr std::int64_t kSequenceMost = std::int64_t{1} << 40;

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto* digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<store::BoundingBox> bounding_box(std::string_view text) {
  std::array<double, 4> edges{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto comma = i < 3 ? text.find(',') : text.size();
    if (comma == std::string_view::npos) return std::nullopt;
    const auto value = number<double>(text.substr(0, comma));
    const double most = i % 2 == 0 ? 180 : 90;
    if (!value || !(*value >= -most && *value <= most)) return std::nullopt;
    edges[i] = *value;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (edges[1] > edges[3]) return std::nullopt;
  return store::BoundingBox{edges[0], edges[1], edges[2], edges[3]};
}

bool is_name(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Empty when the parameter is good.
std::string set_parameter(ListQuery& to, std::string_view name, const std::string& value) {
  auto& filter = to.filter;
  if (name == "bbox") {
    filter.bbox = bounding_box(value);
    return filter.bbox ? "" : "must be west,south,east,north in degrees, south <= north (west > east crosses 180)";
  }
  if (name == "since" || name == "until") {
    const auto time = parse_rfc3339(value);
    if (!time) return time.error().detail;
    (name == "since" ? filter.since : filter.until) = *time;
    return {};
  }
  if (name == "class" || name == "source") {
    if (!is_name(value, name == "class" ? 64 : 128)) return "must be a name as a detection may have it";
    (name == "class" ? filter.object_class : filter.source) = value;
    return {};
  }
  if (name == "flag") {
    filter.flag = parse_flag(value);
    return filter.flag ? "" : "must be GREEN, YELLOW or RED";
  }
  if (name == "state") {
    filter.state = store::parse_delivery_state(value);
    return filter.state ? "" : "must be queued, held, delivered, rejected, dead_letter, discarded or spooled";
  }
  if (name == "limit") {
    const auto limit = number<std::size_t>(value);
    if (!limit || *limit < 1 || *limit > kListMost) return "must be a whole number from 1 to 1000";
    to.limit = *limit;
    return {};
  }
  if (name == "cursor") {
    to.before = parse_cursor(value);
    return to.before ? "" : "must be next_cursor of an earlier page";
  }
  return "is not a known parameter; there are bbox, since, until, class, flag, state, source, limit, cursor";
}

}  // namespace

Result<ListQuery> parse_list_query(std::string_view query) {
  ListQuery parsed;
  std::vector<FieldError> errors;
  std::vector<std::string> seen;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    auto name = percent_decoded(pair.substr(0, equals));
    const auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value || !is_name(*name, 32)) {
      errors.push_back({"query", "is not percent-encoded text of known parameters"});
      break;
    }
    if (std::ranges::find(seen, *name) != seen.end())
      errors.push_back({*name, "is given twice"});
    else if (auto wrong = set_parameter(parsed, *name, *value); !wrong.empty())
      errors.push_back({*name, std::move(wrong)});
    seen.push_back(std::move(*name));
  }
  if (errors.empty() && parsed.filter.since && parsed.filter.until && *parsed.filter.since > *parsed.filter.until)
    errors.push_back({"since", "must not be later than until"});
  if (errors.empty()) return parsed;
  auto detail = "the query breaks a rule: " + errors.front().field + " " + errors.front().message;
  return fail(ErrorCode::kValidationFailed, std::move(detail), std::move(errors));
}

std::string make_cursor(std::int64_t before) {
  std::array<char, 16> digits{};
  auto value = (static_cast<std::uint64_t>(before) * kScramble) ^ kMask;
  for (std::size_t i = digits.size(); i-- > 0; value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
  return {digits.data(), digits.size()};
}

std::optional<std::int64_t> parse_cursor(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  const auto before = static_cast<std::int64_t>((value ^ kMask) * kUnscramble);
  if (before < 1 || before > kSequenceMost) return std::nullopt;
  return before;
}

}  // namespace detection::http
