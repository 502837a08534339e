#include "pipeline/selection.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace detection::pipeline {
namespace {

bool newer(const store::OutboxItem& a, const store::OutboxItem& b) noexcept {
  return std::pair(a.located.observed, a.sequence) > std::pair(b.located.observed, b.sequence);
}

bool stale(const store::OutboxItem& item, const SelectionRules& rules, UtcMicros now) noexcept {
  return std::min(item.located.observed, item.located.received) + rules.stale_after < now;
}

}  // namespace

Selection select(const std::vector<store::OutboxItem>& items, const SelectionRules& rules, UtcMicros now) {
  using enum store::OmitReason;
  Selection selection;
  selection.sent.reserve(items.size());
  if (rules.take_all()) {
    for (std::uint32_t i = 0; i < items.size(); ++i) selection.sent.push_back(i);
    return selection;
  }
  // Of each uid the newest among those that would go out.
  std::unordered_map<std::string_view, const store::OutboxItem*> newest;
  const auto droppable = [](const store::OutboxItem& item) { return !item.take_back && !item.guaranteed; };
  const auto leaves = [&](const store::OutboxItem& item) -> std::optional<store::OmitReason> {
    if (!rules.filter.passes(item)) return kFiltered;
    if (rules.keep.fresh && droppable(item) && stale(item, rules, now)) return kStale;
    return std::nullopt;
  };
  if (rules.keep.latest) {
    for (const auto& item : items) {
      if (!droppable(item) || leaves(item)) continue;
      auto& best = newest[item.located.cot_uid];
      if (best == nullptr || newer(item, *best)) best = &item;
    }
  }
  for (std::uint32_t i = 0; i < items.size(); ++i) {
    const auto& item = items[i];
    auto reason = leaves(item);
    if (!reason && rules.keep.latest && droppable(item) && newest.at(item.located.cot_uid) != &item)
      reason = kSuperseded;
    if (reason)
      selection.omitted.push_back({item.sequence, *reason});
    else
      selection.sent.push_back(i);
  }
  return selection;
}

std::size_t cut(Selection& selection, const std::vector<store::OutboxItem>& items, std::size_t most) {
  if (selection.sent.size() <= most) return items.size();
  const std::size_t keep = selection.sent[most];
  selection.sent.resize(most);
  // Both are in the claim's order, but its sequences are not sorted: what is due beside the log comes first.
  std::size_t at = 0, left_out = 0;
  while (at < keep && left_out < selection.omitted.size())
    if (items[at++].sequence == selection.omitted[left_out].sequence) ++left_out;
  selection.omitted.resize(left_out);
  return keep;
}

}  // namespace detection::pipeline
