#include "http/feed_text.hpp"

#include <algorithm>

#include "detection/json_writer.hpp"
#include "http/detection_json.hpp"

namespace detection::http {
namespace {

using store::DeliveryState;
using store::FeedEvent;

constexpr std::string_view kId = "id: ";

DeliveryState at_acceptance(store::Disposition disposition) {
  switch (disposition) {
    case store::Disposition::kQueue: return DeliveryState::kQueued;
    case store::Disposition::kHold: return DeliveryState::kHeld;
    case store::Disposition::kDiscard: return DeliveryState::kDiscarded;
  }
  return DeliveryState::kQueued;
}

void append_delivery(std::string& out, const FeedEvent& event) {
  json::Writer w(out);
  w.begin_object();
  w.key("sink");
  w.string(event.sink);
  w.key("state");
  w.string(store::delivery_state_name(event.state));
  w.key("taken_back");
  w.boolean(event.taken_back);
  w.key("detection_ids");
  w.begin_array();
  for (const auto& id : event.ids) w.string(to_string(id));
  w.end_array();
  w.key("time");
  w.string(format_rfc3339_us(event.at));
  w.end_object();
}

void append_verification(std::string& out, const FeedEvent& event) {
  const auto decision = event.detection->decision.value_or(store::Decision{});
  json::Writer w(out);
  w.begin_object();
  w.key("detection_id");
  w.string(to_string(event.detection->located.id));
  w.key("verified");
  w.boolean(decision.verified);
  w.key("notes");
  w.string(decision.notes);
  w.key("actor");
  w.string(decision.actor);
  w.key("time");
  w.string(format_rfc3339_us(event.at));
  w.key("state");
  w.string(store::delivery_state_name(decision.verified ? DeliveryState::kQueued : DeliveryState::kRejected));
  w.end_object();
}

std::string_view kind_name(FeedEvent::Kind kind) {
  switch (kind) {
    case FeedEvent::Kind::kDetection: return "detection";
    case FeedEvent::Kind::kDelivery: return "delivery";
    case FeedEvent::Kind::kVerification: return "verification";
  }
  return "message";
}

}  // namespace

void append_feed_event(std::string& out, const FeedEvent& event) {
  if (event.kind != FeedEvent::Kind::kDelivery && !event.detection) return;
  out.append(kId).append(event.cursor).append("\nevent: ").append(kind_name(event.kind)).append("\ndata: ");
  switch (event.kind) {
    case FeedEvent::Kind::kDetection:
      append_record(out, *event.detection, {at_acceptance(event.detection->disposition), {}});
      break;
    case FeedEvent::Kind::kDelivery: append_delivery(out, event); break;
    case FeedEvent::Kind::kVerification: append_verification(out, event); break;
  }
  out.append("\n\n");
}

FeedText feed_gap(std::string_view cursor, std::string_view reason) {
  std::string text("id: ");
  text.append(cursor).append("\nevent: gap\ndata: {\"reason\":\"").append(reason).append("\"}\n\n");
  return std::make_shared<const std::string>(std::move(text));
}

FeedText feed_end(std::string_view reason) {
  std::string text("event: end\ndata: {\"reason\":");
  json::append_string(text, reason);
  return std::make_shared<const std::string>(text.append("}\n\n"));
}

FeedText feed_greeting(std::string_view cursor) {
  std::string text("retry: 2000\n");
  if (!cursor.empty()) text.append("id: ").append(cursor).append("\n");
  return std::make_shared<const std::string>(text.append(": the live feed of detection-api\n\n"));
}

FeedText feed_heartbeat() {
  static const auto text = std::make_shared<const std::string>(": heartbeat\n\n");
  return text;
}

FeedText FeedSheet::without(const std::unordered_set<std::size_t>& seen) const {
  std::string left;
  for (const auto& mark : marks)
    if (!seen.contains(mark.content)) left.append(*text, mark.begin, mark.end - mark.begin);
  return left.empty() ? nullptr : std::make_shared<const std::string>(std::move(left));
}

FeedSheet write_sheet(std::span<const FeedEvent> events, std::size_t bytes_most) {
  FeedSheet sheet;
  std::string text;
  for (const auto& event : events) {
    const auto begin = text.size();
    append_feed_event(text, event);
    // The id is left out: it depends on where the reading began.
    auto data = std::string_view(text).substr(begin);
    data.remove_prefix(std::min(data.size(), event.cursor.size() + kId.size()));
    sheet.marks.push_back({event.cursor, begin, text.size(), std::hash<std::string_view>{}(data)});
    sheet.cursor = event.cursor;
    if (text.size() >= bytes_most) break;
  }
  sheet.text = std::make_shared<const std::string>(std::move(text));
  return sheet;
}

void FeedRing::clear(std::string cursor) {
  first_ = end();
  sheets_.clear();
  bytes_ = 0;
  cursor_ = std::move(cursor);
}

void FeedRing::push(FeedSheet sheet) {
  bytes_ += sheet.text->size();
  cursor_ = sheet.cursor;
  sheets_.push_back(std::move(sheet));
  while (bytes_ > bytes_most_ && sheets_.size() > 1) {
    bytes_ -= sheets_.front().text->size();
    sheets_.pop_front();
    ++first_;
  }
}

std::optional<FeedRing::Place> FeedRing::behind(std::string_view cursor) const {
  if (cursor == cursor_) return Place{end(), 0};
  for (auto sheet = end(); sheet-- > first_;) {
    const auto& marks = at(sheet).marks;
    for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark)
      if (mark->cursor == cursor) return Place{sheet, mark->end};
  }
  return std::nullopt;
}

}  // namespace detection::http
