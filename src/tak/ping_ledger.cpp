#include "tak/ping_ledger.hpp"

#include <algorithm>
#include <functional>

namespace detection::tak {

void PingLedger::add_ping(Ping ping) {
  ping.covers = batches_;
  pings_.push_back(ping);
  if (pings_.size() > kUnansweredMost) {
    pings_.pop_front();
    out_of_step_ = true;
  }
  awaiting_ = true;
}

PingLedger::Answer PingLedger::count(std::size_t pings) {
  Answer answer{.verdict = Verdict::kCounted};
  const Ping& last = pings_[pings - 1];
  confirmed_ = std::max(confirmed_, last.covers);
  if (pings == pings_.size()) answer.exact = last;
  pings_.erase(pings_.begin(), pings_.begin() + static_cast<std::ptrdiff_t>(pings));
  awaiting_ = false;
  answered_ = true;
  return answer;
}

void PingLedger::learn_from_new_text() {
  const SteadyTime asked = pings_.front().sent_at;
  distinct_ = asked - last_answered_ping_ < kQuickSuccession ? distinct_ + 1 : 0;
  last_answered_ping_ = asked;
  if (texts_ == Texts::kUnknown && distinct_ >= kDistinctEnough) texts_ = Texts::kDistinct;
}

PingLedger::Answer PingLedger::pong(std::string_view text) {
  const std::size_t hash = std::hash<std::string_view>{}(text);
  const auto known = seen_.begin() + static_cast<std::ptrdiff_t>(std::min(seen_count_, seen_.size()));
  if (std::find(seen_.begin(), known, hash) != known) {
    if (!awaiting_) texts_ = Texts::kDistinct;
    if (texts_ == Texts::kDistinct) return {.verdict = awaiting_ ? Verdict::kRepeat : Verdict::kIgnored};
    texts_ = Texts::kAlike;
  } else {
    seen_[seen_count_++ % seen_.size()] = hash;
    if (!pings_.empty()) learn_from_new_text();
  }
  if (pings_.empty()) return {};
  if (out_of_step_) {
    answered_ = true;
    return {.verdict = Verdict::kOutOfStep};
  }
  return count(1);
}

PingLedger::Answer PingLedger::echo(UtcMicros time) {
  for (std::size_t i = 0; i < pings_.size(); ++i) {
    if (pings_[i].time == time) {
      const Ping named = pings_[i];
      const bool newest = i + 1 == pings_.size();
      Answer answer = count(i + 1);
      // An echo of an older ping confirms that one; the newest is still awaited.
      awaiting_ = !newest;
      answer.exact = named;
      // Whatever was forgotten before lies before this ping.
      out_of_step_ = false;
      return answer;
    }
  }
  return {};
}

std::optional<BatchNumber> PingLedger::take_confirmed() {
  if (taken_ >= confirmed_) return std::nullopt;
  const BatchNumber number = flight_.front().number;
  flight_.pop_front();
  ++taken_;
  return number;
}

std::optional<BatchNumber> PingLedger::take_until(std::uint64_t offset) {
  if (flight_.empty() || flight_.front().end_offset > offset) return std::nullopt;
  const BatchNumber number = flight_.front().number;
  flight_.pop_front();
  ++taken_;
  return number;
}

}  // namespace detection::tak
