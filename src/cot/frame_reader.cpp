#include "cot/frame_reader.hpp"

#include <cmath>

#include "cot/event_head.hpp"
#include "cot/tak_message_tags.hpp"
#include "cot/typed_detail.hpp"
#include "cot/utf8.hpp"
#include "cot/wire.hpp"

namespace detection::cot {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::kValidationFailed, std::move(why));
}

/// Nothing beyond the year 9999.
std::optional<UtcMicros> time_of(std::uint64_t ms) {
  if (ms > static_cast<std::uint64_t>(kLastTime.count / 1000)) return std::nullopt;
  return UtcMicros{static_cast<std::int64_t>(ms) * 1000};
}

std::optional<double> known_metres(double value) {
  return std::isfinite(value) && value < kUnknownFrom_m ? std::optional(value) : std::nullopt;
}

Result<void> read_texts(const wire::CotEvent& event, ParsedEvent& out) {
  const struct {
    const char* name;
    const std::string& from;
    std::string& to;
    bool required;
  } texts[] = {{"uid", event.uid(), out.uid, true},
               {"type", event.type(), out.type, true},
               {"how", event.how(), out.how, false},
               {"access", event.access(), out.access, false},
               {"qos", event.qos(), out.qos, false},
               {"opex", event.opex(), out.opex, false},
               {"caveat", event.caveat(), out.caveat, false},
               {"releaseableTo", event.releaseable_to(), out.releaseable_to, false}};
  for (const auto& text : texts) {
    if (text.required && text.from.empty()) return refuse("event has no " + std::string(text.name));
    if (!is_xml_text(text.from)) return refuse("event " + std::string(text.name) + " is not UTF-8 as XML has it");
    text.to = text.from;
  }
  return {};
}

Result<void> read_times(const wire::CotEvent& event, ParsedEvent& out) {
  const struct {
    const char* name;
    std::uint64_t from;
    UtcMicros& to;
  } times[] = {{"time", event.send_time(), out.time},
               {"start", event.start_time(), out.start},
               {"stale", event.stale_time(), out.stale}};
  for (const auto& time : times) {
    const auto value = time_of(time.from);
    if (!value) return refuse("event " + std::string(time.name) + " is beyond the year 9999");
    time.to = *value;
  }
  return {};
}

constexpr std::uint64_t number_of(char tag) noexcept {
  return static_cast<unsigned char>(tag) >> 3;
}

/// Several parts of one message add up: later fields replace earlier ones. False when it is cut off.
bool read_name_of(std::string_view event, FrameName& out) noexcept {
  while (!event.empty()) {
    const auto field = take_field(event);
    if (!field) return false;
    const bool is_text = field->type == WireType::kBytes;
    if (is_text && field->number == number_of(tags::kType)) out.type = field->bytes;
    if (is_text && field->number == number_of(tags::kUid)) out.uid = field->bytes;
    if (field->type == WireType::kVarint && field->number == number_of(tags::kSendTime))
      out.time = time_of(field->value).value_or(UtcMicros{});
  }
  return true;
}

}  // namespace

Result<ParsedEvent> read_frame(std::string_view payload, const MarkupLimits& limits) {
  if (payload.size() > limits.bytes || payload.size() > INT32_MAX)
    return refuse("a frame has at most " + std::to_string(limits.bytes) + " bytes, not " +
                  std::to_string(payload.size()));
  wire::TakMessage message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return refuse("not a TakMessage");
  if (!message.has_event()) return fail(ErrorCode::kNotFound, "the frame has no event");
  const auto& event = message.event();
  ParsedEvent out;
  out.version = "2.0";
  if (auto done = read_texts(event, out); !done) return std::unexpected(std::move(done.error()));
  if (auto done = read_times(event, out); !done) return std::unexpected(std::move(done.error()));
  if (!(std::abs(event.lat()) <= 90)) return refuse("lat must be a number, -90 to 90");
  if (!(std::abs(event.lon()) <= 180)) return refuse("lon must be a number, -180 to 180");
  out.lat_deg = event.lat();
  out.lon_deg = event.lon();
  out.hae_m = known_metres(event.hae());
  out.ce_m = known_metres(event.ce());
  out.le_m = known_metres(event.le());
  auto detail = join_detail(event.detail(), limits);
  if (!detail) return std::unexpected(std::move(detail.error()));
  out.detail = std::move(*detail);
  return out;
}

std::optional<FrameName> read_frame_name(std::string_view payload) noexcept {
  FrameName out;
  while (!payload.empty()) {
    const auto field = take_field(payload);
    if (!field) return std::nullopt;
    if (field->number != number_of(tags::kCotEvent) || field->type != WireType::kBytes) continue;
    if (!read_name_of(field->bytes, out)) return std::nullopt;
  }
  if (out.type.empty() || out.uid.empty()) return std::nullopt;
  return out;
}

}  // namespace detection::cot
