#include "http/etag.hpp"

#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

constexpr std::size_t kTagBytes = 16;

void skip_blanks(std::string_view& text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

}  // namespace

std::string etag_of(std::string_view body) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const auto hash = pipeline::sha256(body);
  std::string tag = "\"";
  for (std::size_t i = 0; i < kTagBytes; ++i) {
    tag.push_back(kHex[hash[i] >> 4]);
    tag.push_back(kHex[hash[i] & 15]);
  }
  return tag + "\"";
}

bool names_etag(std::string_view list, std::string_view etag) noexcept {
  skip_blanks(list);
  if (list.starts_with('*')) {
    list.remove_prefix(1);
    skip_blanks(list);
    return list.empty();
  }
  bool named = false;
  while (!list.empty()) {
    if (list.starts_with("W/")) list.remove_prefix(2);
    const auto end = list.starts_with('"') ? list.find('"', 1) : std::string_view::npos;
    if (end == std::string_view::npos) return false;
    named = named || list.substr(0, end + 1) == etag;
    list.remove_prefix(end + 1);
    skip_blanks(list);
    if (list.empty()) break;
    if (list.front() != ',') return false;
    while (!list.empty() && list.front() == ',') {
      list.remove_prefix(1);
      skip_blanks(list);
    }
  }
  return named;
}

}  // namespace detection::http
