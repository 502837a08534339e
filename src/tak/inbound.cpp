#include "tak/inbound.hpp"

#include "cot/reader.hpp"

namespace detection::tak {

std::optional<InboundEvent> Inbound::next(std::string_view& bytes) {
  while (!speaks_frames_) {
    const auto event = xml_.next(bytes);
    if (!event) return std::nullopt;
    const auto name = cot::read_event_name(*event);
    if (!name) {
      ++unreadable_;
      continue;
    }
    InboundEvent read{name->type, name->uid, std::nullopt, *event};
    if (const auto time = cot::read_event_time(name->time)) read.time = *time;
    return read;
  }
  while (const auto payload = frames_.next(bytes)) {
    const auto name = cot::read_frame_name(*payload);
    if (!name) {
      ++unreadable_;
      continue;
    }
    return InboundEvent{name->type, name->uid, name->time, *payload};
  }
  return std::nullopt;
}

}  // namespace detection::tak
