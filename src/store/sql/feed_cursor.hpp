#pragma once
// Where a reader of the feed stands: the last record that it has seen of each chain.

#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "store/sql/limits.hpp"

namespace detection::store::sql {

class FeedCursor {
 public:
  [[nodiscard]] static std::optional<FeedCursor> parse(std::string_view text) {
    FeedCursor out;
    if (text.empty() || text.size() > limits::kFeedCursorBytes || text.front() != 'f') return std::nullopt;
    text.remove_prefix(1);
    while (!text.empty()) {
      const auto chain = take_number(text, '-');
      const auto record = chain ? take_number(text, '.') : std::nullopt;
      if (!record || !out.seen_.emplace(*chain, *record).second) return std::nullopt;
    }
    return out;
  }

  [[nodiscard]] std::string text() const {
    std::string out = "f";
    for (const auto& [chain, record] : seen_) {
      if (out.size() > 1) out.push_back('.');
      out += std::to_string(chain) + "-" + std::to_string(record);
    }
    return out;
  }

  /// 0: nothing yet.
  [[nodiscard]] std::int64_t seen(std::int64_t chain) const {
    const auto found = seen_.find(chain);
    return found == seen_.end() ? 0 : found->second;
  }
  void see(std::int64_t chain, std::int64_t record) {
    if (record != 0) seen_[chain] = record;
  }
  [[nodiscard]] const std::map<std::int64_t, std::int64_t>& all() const { return seen_; }

 private:
  /// A number from 1 up to `end` or, where that may be missing, the end of the text; takes both away.
  static std::optional<std::int64_t> take_number(std::string_view& text, char end) {
    std::int64_t value = 0;
    const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || value < 1 || value >= std::int64_t{1} << 40 || text.front() == '0')
      return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (text.empty()) return end == '.' ? std::optional(value) : std::nullopt;
    if (text.front() != end || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
    return value;
  }

  std::map<std::int64_t, std::int64_t> seen_;
};

}  // namespace detection::store::sql
