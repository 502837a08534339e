#include "pipeline/sink_filter.hpp"

#include <algorithm>

namespace detection::pipeline {
namespace {

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) noexcept {
  return patterns.empty() ||
         std::ranges::any_of(patterns, [text](const std::string& pattern) { return matches_pattern(pattern, text); });
}

bool within(const store::BoundingBox& area, const LatLonHae& position) noexcept {
  if (position.lat_deg < area.south_deg || position.lat_deg > area.north_deg) return false;
  if (area.west_deg <= area.east_deg) return position.lon_deg >= area.west_deg && position.lon_deg <= area.east_deg;
  return position.lon_deg >= area.west_deg || position.lon_deg <= area.east_deg;
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view text) noexcept {
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return text == pattern;
}

bool SinkFilter::empty() const noexcept {
  return types.empty() && sources.empty() && classes.empty() && flags == 0 && !area;
}

bool SinkFilter::passes(const store::OutboxItem& item) const noexcept {
  if (item.take_back) return true;
  const auto& located = item.located;
  const bool flag_passes =
      flags == 0 || item.guaranteed || (flags >> static_cast<unsigned>(located.verdict.flag) & 1) != 0;
  return flag_passes && any_matches(types, located.cot_type) && any_matches(sources, located.source) &&
         any_matches(classes, located.object_class) && (!area || within(*area, located.fix.position));
}

}  // namespace detection::pipeline
