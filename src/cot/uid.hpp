#pragma once
// Unique names of things in Cursor on Target. A uid names a thing, not a frame: the newest event of a uid replaces the
// older ones on every map.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "detection/uuid.hpp"

namespace detection::cot {

class TextWriter;

/// Of the prefix, as the configuration limits it; of source, camera and track, as requests limit them (design.md 4.2).
inline constexpr std::size_t kUidPrefixBytesMost = 32;
inline constexpr std::size_t kNameBytesMost = 128;
/// prefix "." source "." track, every character of both names escaped.
inline constexpr std::size_t kUidBytesMost = kUidPrefixBytesMost + 1 + 2 * kNameBytesMost + 1 + 2 * kNameBytesMost;
inline constexpr std::size_t kCameraUidBytesMost = 128;

/// `<prefix>.<id>`, or `<prefix>.<source>.<track_id>` where a track is given: one uid for one thing.
///
/// Only [A-Za-z0-9._-], because TAK's schema of a link's uid is NMTOKEN and some peers take less. Two different things
/// never share a uid: ':' is written "_.", a '.' of the source "_-" (the first '.' behind the prefix ends the source),
/// and an '_' that would otherwise read as the start of one of these is written "__". All other characters stand for
/// themselves, so the usual names ("uav-7", "cam_1") are unchanged.
[[nodiscard]] std::string cot_uid(std::string_view prefix, const Uuid& id, std::string_view source,
                                  const std::optional<std::string>& track_id);

/// `CAM.<source>.<camera_id>`, escaped likewise: what a detection's link points at. At most kCameraUidBytesMost bytes:
/// a longer one is cut and ends in "-" and 16 hexadecimal digits of a hash (FNV-1a) of the whole.
[[nodiscard]] std::string camera_uid(std::string_view source, std::string_view camera_id);
void append_camera_uid(std::string& out, std::string_view source, std::string_view camera_id);
/// The same for this room's hot path; in between it needs room for camera_uid_room bytes.
void write_camera_uid(TextWriter& out, std::string_view source, std::string_view camera_id) noexcept;
[[nodiscard]] constexpr std::size_t camera_uid_room(std::string_view source, std::string_view camera_id) noexcept {
  return 5 + 2 * (source.size() + camera_id.size());
}

}  // namespace detection::cot
