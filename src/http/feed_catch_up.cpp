// How a reader gets from its Last-Event-ID to the live events: all on the hub's thread, one piece at a time.

#include <algorithm>
#include <unordered_set>

#include "http/feed_hub_impl.hpp"

namespace detection::http {
namespace {

constexpr std::size_t kCatchUpEvents = 100;

}  // namespace

Refusal feed_unavailable(std::string detail) {
  return {{ErrorCode::kStoreUnavailable, std::move(detail)}, "Retry-After: 2\r\n"};
}

/// Brings one reader one piece nearer to the live events.
void FeedHub::Impl::step(const FeedReaderPtr& reader) {
  if (!reader->begun && reader->last_event_id.empty()) {
    static_cast<void>(at_end());
    begin(reader);
    return follow(reader);
  }
  if (!reader->begun && reader->position.empty()) reader->position = reader->last_event_id;
  if (!reader->place || reader->place->sheet < ring_.first()) reader->place = ring_.behind(reader->position);
  if (reader->place)
    step_in_ring(reader);
  else
    step_in_store(reader);
}

void FeedHub::Impl::step_in_ring(const FeedReaderPtr& reader) {
  if (!reader->begun) begin(reader);
  auto& place = *reader->place;
  if (place.sheet < ring_.end() && place.offset == ring_.at(place.sheet).text->size()) place = {place.sheet + 1, 0};
  if (place.sheet >= ring_.end()) return follow(reader);
  const auto& sheet = ring_.at(place.sheet);
  const auto events = std::ranges::count_if(sheet.marks, [&](const auto& mark) { return mark.end > place.offset; });
  auto text = place.offset == 0 ? sheet.text : std::make_shared<const std::string>(*sheet.text, place.offset);
  place = {place.sheet + 1, 0};
  reader->position = sheet.cursor;
  send(reader, std::move(text), static_cast<std::size_t>(events));
}

void FeedHub::Impl::step_in_store(const FeedReaderPtr& reader) {
  auto page = store_.feed(reader->position, kCatchUpEvents);
  if (page && !page->more) {
    // It can join. Its position must not be ahead of the live events then, so these come first.
    if (!at_end()) {
      parked_.push_back(reader);
      return;
    }
    page = store_.feed(reader->position, kCatchUpEvents);
  }
  if (!page) {
    if (page.error().code == ErrorCode::kNotFound) return gap(reader, "pruned");
    if (page.error().code == ErrorCode::kConflict) return gap(reader, "unknown");
    return give_up(reader, page.error());
  }
  if (!reader->begun) begin(reader);
  if (page->more)
    send_page(reader, *page);
  else
    join(reader, *page);
}

void FeedHub::Impl::send_page(const FeedReaderPtr& reader, const store::FeedPage& page) {
  if (page.events.empty()) {
    reader->position = page.cursor;
    ready_.push_back(reader);
    return;
  }
  auto sheet = write_sheet(page.events, kFeedSheetBytes);
  reader->position = sheet.marks.size() == page.events.size() ? page.cursor : sheet.cursor;
  send(reader, std::move(sheet.text), sheet.marks.size());
}

/// `last` ends where the store ends; the live events ended there too, or a moment before.
void FeedHub::Impl::join(const FeedReaderPtr& reader, const store::FeedPage& last) {
  auto sheet = write_sheet(last.events, kFeedSheetBytes);
  if (sheet.marks.size() < last.events.size()) {
    reader->position = sheet.cursor;
    return send(reader, std::move(sheet.text), sheet.marks.size());
  }
  std::unordered_set<std::size_t> had;
  for (const auto& mark : sheet.marks) had.insert(mark.content);
  if (!sheet.marks.empty()) reader->lane->send(reader, std::move(sheet.text), sheet.marks.size(), {});
  // What was committed in that moment is among the live events once more.
  if (last.cursor != ring_.cursor()) {
    const auto from = ring_.end();
    if (!tail(SIZE_MAX) || from < ring_.first()) return give_up(reader, {ErrorCode::kStoreUnavailable, {}});
    for (auto i = from; i < ring_.end(); ++i)
      if (auto text = ring_.at(i).without(had)) reader->lane->send(reader, std::move(text), 0, {});
  }
  follow(reader);
}

void FeedHub::Impl::send(const FeedReaderPtr& reader, FeedText text, std::size_t events) {
  reader->lane->send(reader, std::move(text), events, [this, weak = std::weak_ptr(reader)] {
    if (auto drained = weak.lock()) tell({Note::Kind::kDrained, std::move(drained)});
  });
}

void FeedHub::Impl::begin(const FeedReaderPtr& reader) {
  reader->begun = true;
  // Who comes without an id gets that of where the live events begin: a break before the first of them leaves no gap.
  reader->lane->begin(reader, feed_greeting(reader->last_event_id.empty() ? ring_.cursor() : std::string_view()));
}

void FeedHub::Impl::follow(const FeedReaderPtr& reader) {
  reader->live = true;
  ++reader->lane->followers;
  reader->lane->follow(reader);
}

void FeedHub::Impl::gap(const FeedReaderPtr& reader, std::string_view reason) {
  if (!at_end()) {
    parked_.push_back(reader);
    return;
  }
  if (!reader->begun) begin(reader);
  reader->lane->send(reader, feed_gap(ring_.cursor(), reason), 0, {});
  follow(reader);
}

/// A stream ends, so that its reader comes again; who has none yet is told why.
void FeedHub::Impl::give_up(const FeedReaderPtr& reader, const Error& error) {
  if (reader->begun) return reader->lane->end(reader, {});
  const bool invalid = error.code == ErrorCode::kValidationFailed;
  turn_away(reader, invalid ? Refusal{{ErrorCode::kValidationFailed,
                                       "Last-Event-ID must be the id of an event of this feed",
                                       {{"Last-Event-ID", "is not the id of an event"}}}}
                            : feed_unavailable("the live feed cannot be read at the moment"));
}

/// Its credential has ended.
void FeedHub::Impl::shut_out(const FeedReaderPtr& reader, Error error) {
  if (!reader->begun)
    return turn_away(
        reader, {std::move(error), "WWW-Authenticate: Bearer realm=\"detection-api\", error=\"invalid_token\"\r\n"});
  reader->gone = true;
  reader->lane->send(reader, feed_end(error.detail));
  reader->lane->end(reader, {});
}

/// Who has no stream yet.
void FeedHub::Impl::turn_away(const FeedReaderPtr& reader, Refusal refusal) {
  forget(reader->exchange);
  reader->gone = true;
  --readers_here_;
  reader->lane->refuse(reader, std::move(refusal));
  if (readers_here_ == 0) end_tail();
}

void FeedHub::Impl::forget(Exchange& x) {
  const std::scoped_lock lock(mutex_);
  readers_.erase(&x);
}

}  // namespace detection::http
