#pragma once
// The live feed as text: server-sent events (WHATWG HTML, section 9.2).

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "store/store.hpp"

namespace detection::http {

using FeedText = std::shared_ptr<const std::string>;

/// "id: <cursor>", "event: detection", "data: <JSON>", an empty line.
///   detection     the answer of GET /api/v1/detections/{id}, with the delivery state of its acceptance
///   delivery      {"sink","state","taken_back","detection_ids":[...],"time"}
///   verification  {"detection_id","verified","notes","actor","time","state"}
void append_feed_event(std::string& out, const store::FeedEvent& event);
/// The events between the reader's last one and `cursor` are lost: "event: gap", {"reason":"pruned"}; or its last one
/// is none of this store's (any more): "unknown".
[[nodiscard]] FeedText feed_gap(std::string_view cursor, std::string_view reason);
/// The first block. cursor: where the live events begin; empty: the reader knows where it is.
[[nodiscard]] FeedText feed_greeting(std::string_view cursor);
[[nodiscard]] FeedText feed_heartbeat();
/// The last one of a reader whose credential has ended. It has no id, so that Last-Event-ID stays what it was.
[[nodiscard]] FeedText feed_end(std::string_view reason);

/// Some events that were written once, for all readers.
struct FeedSheet {
  struct Mark {
    std::string cursor;      ///< behind this event
    std::size_t begin, end;  ///< in the text
    std::size_t content;     ///< hash of what it says: the same for two that say the same
  };
  FeedText text;
  std::vector<Mark> marks;
  std::string cursor;  ///< behind the sheet

  /// Without the events that say what others in `seen` said; null when none is left.
  [[nodiscard]] FeedText without(const std::unordered_set<std::size_t>& seen) const;
};

/// Writes events from the front until there are `bytes_most` of them; at least one.
[[nodiscard]] FeedSheet write_sheet(std::span<const store::FeedEvent> events, std::size_t bytes_most);

/// The sheets that were written last, so that whoever comes back soon need not be read from the store. They follow one
/// another without a gap.
class FeedRing {
 public:
  struct Place {
    std::uint64_t sheet = 0;
    std::size_t offset = 0;  ///< in its text
  };

  explicit FeedRing(std::size_t bytes_most) : bytes_most_(bytes_most) {}
  void clear(std::string cursor);
  void push(FeedSheet sheet);
  /// Nothing more was there to write up to `cursor`.
  void advance(std::string cursor) { cursor_ = std::move(cursor); }

  [[nodiscard]] const std::string& cursor() const noexcept { return cursor_; }
  [[nodiscard]] std::uint64_t first() const noexcept { return first_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return first_ + sheets_.size(); }
  [[nodiscard]] const FeedSheet& at(std::uint64_t sheet) const { return sheets_[sheet - first_]; }
  [[nodiscard]] std::optional<Place> behind(std::string_view cursor) const;

 private:
  const std::size_t bytes_most_;
  std::deque<FeedSheet> sheets_;
  std::uint64_t first_ = 0;
  std::size_t bytes_ = 0;
  std::string cursor_;  ///< behind the last sheet
};

}  // namespace detection::http
