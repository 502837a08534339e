#include "http/list_query.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/body_fields.hpp"

namespace detection::http {
namespace {

// A multiplication modulo 2^64 and its inverse: a bijection, so that a cursor made up by hand is nearly never one.
constexpr std::uint64_t kScramble = 0x9e37'79b9'7f4a'7c15, kUnscramble = 0xf1de'83e1'9937'733d;
static_assert(kScramble * kUnscramble == 1);
constexpr std::uint64_t kMask = 0x5bf0'3635'1a2c'48d9;
constexpr std::int64_t kSequenceMost = std::int64_t{1} << 40;

std::optional<double> number(std::string_view text) noexcept {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<store::BoundingBox> parse_bounding_box(std::string_view text) noexcept {
  std::array<double, 4> edges{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto comma = i < 3 ? text.find(',') : text.size();
    if (comma == std::string_view::npos) return std::nullopt;
    const auto value = number(text.substr(0, comma));
    const double most = i % 2 == 0 ? 180 : 90;
    if (!value || !(*value >= -most && *value <= most)) return std::nullopt;
    edges[i] = *value;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (edges[1] > edges[3]) return std::nullopt;
  return store::BoundingBox{edges[0], edges[1], edges[2], edges[3]};
}

Result<ListQuery> parse_list_query(std::string_view query) {
  auto read = read_query(query, list_fields());
  if (!read) return std::unexpected(std::move(read.error()));
  auto& values = *read;
  ListQuery parsed;
  auto& filter = parsed.filter;
  if (const auto& box = values.texts[kListBbox]) filter.bbox = parse_bounding_box(*box);
  filter.since = values.times[kListSince];
  filter.until = values.times[kListUntil];
  if (filter.since && filter.until && *filter.since > *filter.until)
    return fail(ErrorCode::kValidationFailed, "the query breaks a rule: since must not be later than until",
                {{"since", "must not be later than until"}});
  filter.object_class = std::move(values.texts[kListClass]);
  if (const auto& flag = values.texts[kListFlag]) filter.flag = parse_flag(*flag);
  if (const auto& state = values.texts[kListState]) filter.state = store::parse_delivery_state(*state);
  filter.source = std::move(values.texts[kListSource]);
  if (const auto& cursor = values.texts[kListCursor]) parsed.before = parse_cursor(*cursor);
  if (const auto limit = values.integers[kListLimit]) parsed.limit = static_cast<std::size_t>(*limit);
  return parsed;
}

Result<ListQuery> parse_dead_letter_query(std::string_view query) {
  auto read = read_query(query, dead_letter_fields());
  if (!read) return std::unexpected(std::move(read.error()));
  ListQuery parsed;
  if (const auto& cursor = read->texts[kDeadLetterCursor]) parsed.before = parse_cursor(*cursor);
  if (const auto limit = read->integers[kDeadLetterLimit]) parsed.limit = static_cast<std::size_t>(*limit);
  return parsed;
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
