#include "pipeline/claimed_events.hpp"

#include "cot/frame.hpp"

namespace detection::pipeline {

void append_event(const store::OutboxItem& item, cot::WireFormat format, UtcMicros now,
                  const cot::EventOptions& options, std::string& out) {
  if (!item.take_back) return cot::append_event(out, cot::make_event(item.located, now, options), format);
  std::string xml;
  cot::append_delete_xml(xml, item.located.cot_uid, now);
  // Nothing is appended of what has no frame, and the sink says so.
  (void)cot::append_frame_of_xml(out, xml, format);
}

}  // namespace detection::pipeline
