#include "http/media.hpp"

#include <algorithm>

namespace detection::http {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Cuts the part up to `separator` off `rest`.
std::string_view next_part(std::string_view& rest, char separator) noexcept {
  const auto end = std::min(rest.find(separator), rest.size());
  const auto part = trimmed(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

/// qvalue in thousandths; none for what is no qvalue.
std::optional<int> quality(std::string_view text) noexcept {
  if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return std::nullopt;
  int thousandths = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  for (std::size_t i = 2, scale = 100; i < text.size(); ++i, scale /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    thousandths += (text[i] - '0') * static_cast<int>(scale);
  }
  return thousandths <= 1000 ? std::optional(thousandths) : std::nullopt;
}

/// 0: does not match; 1: */*, 2: type/*, 3: the type itself.
int match(std::string_view range, std::string_view offer) noexcept {
  if (range == "*/*" || range == "*") return 1;
  if (range.ends_with("/*"))
    return equal_ignoring_case(range.substr(0, range.size() - 1),
                               offer.substr(0, std::min(offer.size(), range.size() - 1)))
               ? 2
               : 0;
  return equal_ignoring_case(range, offer) ? 3 : 0;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool is_media_type(std::string_view content_type, std::string_view type) noexcept {
  if (!equal_ignoring_case(next_part(content_type, ';'), type)) return false;
  while (!content_type.empty()) {
    const auto parameter = next_part(content_type, ';');
    if (!parameter.empty() && !equal_ignoring_case(parameter, "charset=utf-8") &&
        !equal_ignoring_case(parameter, "charset=\"utf-8\""))
      return false;
  }
  return true;
}

std::optional<std::size_t> choose_media_type(std::string_view accept,
                                             std::span<const std::string_view> offers) noexcept {
  if (trimmed(accept).empty()) return 0;
  std::optional<std::size_t> best;
  int best_quality = 0;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    int of_offer = 0, closest = 0;
    for (auto rest = accept; !rest.empty();) {
      auto range = next_part(rest, ',');
      const int how = match(next_part(range, ';'), offers[i]);
      if (how <= closest) continue;
      int q = 1000;
      while (!range.empty()) {
        const auto parameter = next_part(range, ';');
        if (parameter.size() > 2 && lower(parameter[0]) == 'q' && parameter[1] == '=')
          q = quality(parameter.substr(2)).value_or(0);
      }
      closest = how;
      of_offer = q;
    }
    if (of_offer > best_quality) {
      best = i;
      best_quality = of_offer;
    }
  }
  return best;
}

}  // namespace detection::http
