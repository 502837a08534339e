#include "cot/event_head.hpp"

namespace detection::cot {
namespace {

constexpr std::chrono::microseconds kControlStale = std::chrono::seconds{20};

}  // namespace

void append_control_head(std::string& out, std::string_view uid, std::string_view suffix, std::string_view type,
                         UtcMicros now) {
  const UtcMicros time = writable(now);
  append_text(out.append(kHead), " uid=\"", uid);
  out.append(suffix).append("\" type=\"").append(type).append("\" how=\"m-g");
  append_times(out, time, time, later(time, kControlStale));
  append_point(out, 0, 0, kUnknown_m, kUnknown_m, kUnknown_m);
}

void append_delete_xml(std::string& out, std::string_view uid, UtcMicros now) {
  append_control_head(out, uid, "-delete", "t-x-d-d", now);
  append_text(out, "<link uid=\"", uid);
  out.append("\" relation=\"none\" type=\"none\"/><__forcedelete/>").append(kTail);
}

void append_ping_xml(std::string& out, std::string_view own_uid, UtcMicros now) {
  append_control_head(out, own_uid, "-ping", "t-x-c-t", now);
  out.append(kTail);
}

}  // namespace detection::cot
