#include "cot/event_detail.hpp"

#include <algorithm>
#include <cmath>

#include "cot/event_head.hpp"

namespace detection::cot {
namespace {

constexpr std::size_t kCallsignClassBytes = 24;
/// Attribute `source` is written up to here; beyond, the longest names would leave no room for the rest (the link's uid
/// and a track's uid carry the source as well).
constexpr std::size_t kUidAndSourceBytes = 384;
/// The XML in front of the open detail with every number at its widest, without names: the same bound, and so the same
/// remarks, in all formats.
constexpr std::string_view kWidestHead =
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event version=\"2.0\" uid=\"\" type=\"\" "
    "how=\"m-i\" "
    "time=\"9999-12-31T23:59:59.999Z\" start=\"9999-12-31T23:59:59.999Z\" stale=\"9999-12-31T23:59:59.999Z\" "
    "qos=\"5-r-g\" opex=\"e-detection-system\"><point lat=\"-90.00000000\" lon=\"-180.00000000\" "
    "hae=\"-1000000000.000\" ce=\"-1000000000.00\" le=\"-1000000000.00\"/><detail><contact callsign=\" 100%\"/>"
    "<precisionlocation altsrc=\"\" geopointsrc=\"CALC\"/>";
constexpr std::string_view kRemarksClose = "</remarks>";
/// Fixed text of all parts and their numbers at kFixedBytesMost (1,300), and as far as the remarks may reach.
constexpr std::size_t kFixedRoom = kEventBytesMost;

std::string_view callsign_class(const Event& event) noexcept {
  return std::string_view(event.detection->object_class).substr(0, kCallsignClassBytes);
}

/// What the open detail may have, so that the whole XML event keeps to its limit; negative when nothing is left.
std::ptrdiff_t open_bytes_most(const Event& event) noexcept {
  const std::size_t taken = kWidestHead.size() + kTail.size() + escaped_bytes(event.detection->cot_uid) +
                            escaped_bytes(event.type) + escaped_bytes(callsign_class(event)) +
                            event.altitude_source.size();
  return static_cast<std::ptrdiff_t>(kEventBytesMost) - static_cast<std::ptrdiff_t>(taken);
}

/// Signed 32-bit ARGB, opaque.
std::string_view flag_color(Flag flag) noexcept {
  switch (flag) {
    case Flag::kGreen: return "-16711936";
    case Flag::kYellow: return "-256";
    case Flag::kRed: return "-65536";
  }
  return "-65536";
}

/// Standard deviation of a variance; 0 for what rounding made negative.
double sigma(double variance) noexcept {
  return variance > 0 ? std::sqrt(variance) : 0;
}

std::uint64_t percent(double confidence) noexcept {
  return static_cast<std::uint64_t>(std::lround(100 * (confidence >= 0 && confidence <= 1 ? confidence : 0)));
}

template <int kDecimals>
void number(TextWriter& out, double value) noexcept {
  out.fixed<kDecimals>(std::clamp(value, -kStatedMost_m, kStatedMost_m));
}

void write_uuid(TextWriter& out, const Uuid& id) noexcept {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.byte('-');
    out.byte(kHex[id.bytes[i] >> 4]);
    out.byte(kHex[id.bytes[i] & 15]);
  }
}

/// Everything of ours that CoT has no place for, in one element that others carry along unread.
void write_own(TextWriter& out, const LocatedDetection& detection) noexcept {
  const auto& fix = detection.fix;
  const auto& covariance = fix.covariance_enu_m2;
  out.text("<__detection xmlns=\"");
  out.text(kDetailNamespace);
  out.text("\" id=\"");
  write_uuid(out, detection.id);
  out.text("\" class=\"");
  out.escaped(detection.object_class);
  out.text("\" confidence=\"");
  number<4>(out, detection.ai_confidence);
  out.text("\" flag=\"");
  out.text(flag_name(detection.verdict.flag));
  if (detection.cot_uid.size() + detection.source.size() <= kUidAndSourceBytes) {
    out.text("\" source=\"");
    out.escaped(detection.source);
  }
  out.text("\" camera=\"");
  out.escaped(detection.camera_id);
  out.text("\" px=\"");
  number<2>(out, detection.pixel.x_px);
  out.text("\" py=\"");
  number<2>(out, detection.pixel.y_px);
  out.text("\" positionSource=\"");
  out.text(position_source_name(fix.source));
  out.text("\" slantRange=\"");
  number<2>(out, fix.slant_range_m);
  out.text("\" grazing=\"");
  number<3>(out, fix.grazing_deg);
  out.text("\" sigmaE=\"");
  number<3>(out, sigma(covariance[0]));
  out.text("\" sigmaN=\"");
  number<3>(out, sigma(covariance[1]));
  out.text("\" covEN=\"");
  number<4>(out, covariance[3]);
  if (fix.hae_known) {
    out.text("\" sigmaU=\"");
    number<3>(out, sigma(covariance[2]));
  }
  if (fix.ce90_m) {
    out.text("\" ce90=\"");
    number<3>(out, *fix.ce90_m);
  }
  if (fix.hae_known && fix.le90_m) {
    out.text("\" le90=\"");
    number<3>(out, *fix.le90_m);
  }
  out.text("\" ellipseMajor=\"");
  number<3>(out, fix.ellipse.semi_major_m);
  out.text("\" ellipseMinor=\"");
  number<3>(out, fix.ellipse.semi_minor_m);
  out.text("\" ellipseAzimuth=\"");
  number<3>(out, fix.ellipse.azimuth_deg);
  out.text("\" ellipseProbability=\"");
  number<3>(out, fix.ellipse.probability);
  out.text("\"/>");
}

/// A line for people, as much of it as fits before `end`: the last part of the detail, because it alone may be left
/// out.
void write_remarks(TextWriter& out, const LocatedDetection& detection, const char* end) noexcept {
  char* const opened = out.at();
  out.text("<remarks>");
  const char* const empty = out.at();
  const auto add = [&](auto&& write) {
    char* const before = out.at();
    write();
    if (end - out.at() < static_cast<std::ptrdiff_t>(kRemarksClose.size())) out.back_to(before);
  };
  add([&] {
    if (detection.exercise) out.text("EXERCISE. ");
    out.text(flag_name(detection.verdict.flag));
    out.text(": ");
    out.escaped(detection.object_class);
    out.text(", confidence ");
    out.whole(percent(detection.ai_confidence));
    out.text(" %");
    if (detection.fix.ce90_m) {
      out.text(", CE90 ");
      number<1>(out, *detection.fix.ce90_m);
      out.text(" m");
    } else {
      out.text(", CE90 unbounded");
    }
  });
  add([&] {
    out.text(", camera ");
    out.escaped(detection.camera_id);
    out.text(" of ");
    out.escaped(detection.source);
  });
  if (detection.track_id)
    add([&] {
      out.text(", track ");
      out.escaped(*detection.track_id);
    });
  if (out.at() == empty)
    out.back_to(opened);
  else
    out.text(kRemarksClose);
}

}  // namespace

std::size_t detail_room(const Event& event) noexcept {
  const auto& detection = *event.detection;
  const std::size_t track = detection.track_id ? detection.track_id->size() : 0;
  // The class stands in the callsign, our element and the remarks; source and camera in the latter two and the link.
  return kFixedRoom + event.altitude_source.size() + camera_uid_room(detection.source, detection.camera_id) +
         kEscapedBytesMost *
             (3 * detection.object_class.size() + 2 * detection.source.size() + 2 * detection.camera_id.size() + track);
}

void write_callsign(TextWriter& out, const Event& event, TextForm form) noexcept {
  if (form == TextForm::kXml)
    out.escaped(callsign_class(event));
  else
    out.clean(callsign_class(event));
  out.byte(' ');
  out.whole(percent(event.detection->ai_confidence));
  out.byte('%');
}

void write_open_detail(TextWriter& out, const Event& event) noexcept {
  const auto& detection = *event.detection;
  const char* const start = out.at();
  out.text("<link uid=\"");
  write_camera_uid(out, detection.source, detection.camera_id);
  out.text("\" type=\"b-m-p-s-p-loc\" relation=\"p-p\"/><color argb=\"");
  out.text(flag_color(detection.verdict.flag));
  out.text("\"/>");
  write_own(out, detection);
  // Without room there are no remarks; a place before `out` would be no pointer.
  const std::ptrdiff_t left = open_bytes_most(event) - (out.at() - start);
  if (left > 0) write_remarks(out, detection, out.at() + left);
}

}  // namespace detection::cot
