#include "cot/event_splitter.hpp"

namespace detection::cot {
namespace {

constexpr std::string_view kOpen = "<event";
constexpr std::string_view kClose = "</event>";

constexpr bool ends_name(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '>' || c == '/';
}

}  // namespace

/// Both tags have their only '<' in front, so what does not continue one can only start it anew. True when the tag is
/// complete; for the open tag that is the character behind its name.
bool EventSplitter::advance(char c) noexcept {
  if (state_ == State::kBetween) {
    if (matched_ == kOpen.size()) {
      matched_ = c == '<' ? 1 : 0;
      return ends_name(c);
    }
    matched_ = c == kOpen[matched_] ? matched_ + 1 : c == '<' ? 1 : 0;
    return false;
  }
  matched_ = c == kClose[matched_] ? matched_ + 1 : c == '<' ? 1 : 0;
  if (matched_ < kClose.size()) return false;
  matched_ = 0;
  return true;
}

/// Adds a part of the event under way, or gives the event up when that is over the limit.
void EventSplitter::keep(std::string_view part) {
  if (state_ != State::kInside) return;
  if (held_.size() + part.size() <= most_) {
    held_.append(part);
    return;
  }
  ++skipped_;
  state_ = State::kSkipping;
  held_.clear();
}

std::optional<std::string_view> EventSplitter::next(std::string_view& bytes) {
  if (emitted_) held_.clear();
  emitted_ = false;
  std::size_t from = 0;  // where the event under way starts in `bytes`; 0 when earlier
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (matched_ == 0) {
      i = bytes.find('<', i);
      if (i == std::string_view::npos) break;
    }
    if (!advance(bytes[i])) continue;
    if (state_ == State::kBetween) {
      state_ = State::kInside;
      const std::size_t seen = kOpen.size();
      from = i >= seen ? i - seen : 0;
      held_.assign(kOpen.substr(0, i >= seen ? 0 : seen - i));  // what earlier pieces had of the tag
      continue;
    }
    const auto last = bytes.substr(from, i + 1 - from);
    if (held_.empty() && state_ == State::kInside && last.size() <= most_) {
      state_ = State::kBetween;
      bytes.remove_prefix(i + 1);
      return last;
    }
    keep(last);
    const bool whole = state_ == State::kInside;
    state_ = State::kBetween;
    from = i + 1;
    if (!whole) continue;
    emitted_ = true;
    bytes.remove_prefix(from);
    return held_;
  }
  keep(bytes.substr(from));
  bytes = {};
  return std::nullopt;
}

}  // namespace detection::cot
