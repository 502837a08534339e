#include "http/trace_context.hpp"

#include <algorithm>

namespace detection::http {
namespace {

// version "-" trace-id "-" parent-id "-" trace-flags
constexpr std::size_t kVersion = 2, kTraceId = 32, kParentId = 16, kFlags = 2;
constexpr std::size_t kLength = kVersion + 1 + kTraceId + 1 + kParentId + 1 + kFlags;

bool is_hexadecimal(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) noexcept {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::string_view trace_id_of(std::string_view traceparent) noexcept {
  if (traceparent.size() < kLength) return {};
  const auto version = traceparent.substr(0, kVersion);
  const auto trace_id = traceparent.substr(kVersion + 1, kTraceId);
  const auto parent_id = traceparent.substr(kVersion + 1 + kTraceId + 1, kParentId);
  const auto flags = traceparent.substr(kLength - kFlags, kFlags);
  for (const auto dash : {kVersion, kVersion + 1 + kTraceId, kLength - kFlags - 1})
    if (traceparent[dash] != '-') return {};
  for (const auto part : {version, trace_id, parent_id, flags})
    if (!is_hexadecimal(part)) return {};
  if (version == "ff" || is_zero(trace_id) || is_zero(parent_id)) return {};
  // Only a later version may have more, behind another dash.
  if (traceparent.size() > kLength && (version == "00" || traceparent[kLength] != '-')) return {};
  return trace_id;
}

}  // namespace detection::http
