#pragma once
// A set of sequences as spans that do not touch each other.

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

namespace detection::store::sql {

struct Span {
  std::int64_t first = 1, last = 0;
  [[nodiscard]] bool empty() const { return first > last; }
  friend bool operator==(const Span&, const Span&) = default;
};

class Spans {
 public:
  /// Must not overlap what is in it; joins what it touches.
  void add(Span span) {
    if (span.empty()) return;
    auto next = spans_.upper_bound(span.first);
    if (next != spans_.end() && next->first == span.last + 1) {
      span.last = next->second;
      next = spans_.erase(next);
    }
    if (next != spans_.begin()) {
      const auto before = std::prev(next);
      if (before->second + 1 == span.first) {
        before->second = span.last;
        return;
      }
    }
    spans_.emplace(span.first, span.last);
  }
  [[nodiscard]] bool empty() const { return spans_.empty(); }
  [[nodiscard]] Span front() const {
    return spans_.empty() ? Span{} : Span{spans_.begin()->first, spans_.begin()->second};
  }
  [[nodiscard]] std::int64_t last() const { return spans_.empty() ? 0 : spans_.rbegin()->second; }
  void pop_front() { spans_.erase(spans_.begin()); }
  /// The last sequence of the span that begins with `first`.
  [[nodiscard]] std::optional<std::int64_t> end_of(std::int64_t first) const {
    const auto found = spans_.find(first);
    return found == spans_.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] bool contains(std::int64_t sequence) const {
    const auto next = spans_.upper_bound(sequence);
    return next != spans_.begin() && std::prev(next)->second >= sequence;
  }

 private:
  std::map<std::int64_t, std::int64_t> spans_;
};

}  // namespace detection::store::sql
