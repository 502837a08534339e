#include "cot/uid.hpp"

#include <cstdint>

#include "cot/text_writer.hpp"

namespace detection::cot {
namespace {

constexpr bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

enum class Dots : bool { kKeep, kEscape };

/// `last` part of a uid: nothing follows it; else a '.' does.
void write_part(TextWriter& out, std::string_view name, Dots dots, bool last) noexcept {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (is_alphanumeric(c) || c == '-') {
      out.byte(c);
    } else if (c == '.') {
      out.text(std::string_view(dots == Dots::kEscape ? "_-" : "."));
    } else if (c == '_') {
      // What is written next is a letter or digit exactly when the next character is one (escapes start with '_').
      const bool plain = i + 1 < name.size() ? is_alphanumeric(name[i + 1]) : last;
      out.text(std::string_view(plain ? "_" : "__"));
    } else {
      out.text("_.");  // ':', the one legal character that is left
    }
  }
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

}  // namespace

std::string cot_uid(std::string_view prefix, const Uuid& id, std::string_view source,
                    const std::optional<std::string>& track_id) {
  std::string out;
  const std::size_t most = prefix.size() + 38 + (track_id ? 2 * (source.size() + track_id->size()) : 0);
  append_with(out, most, [&](TextWriter& writer) {
    writer.text(prefix);
    writer.byte('.');
    if (!track_id) return;
    write_part(writer, source, Dots::kEscape, false);
    writer.byte('.');
    write_part(writer, *track_id, Dots::kKeep, true);
  });
  if (!track_id) append_uuid(out, id);
  return out;
}

void write_camera_uid(TextWriter& out, std::string_view source, std::string_view camera_id) noexcept {
  constexpr std::size_t kDigits = 16;
  constexpr std::string_view kHex = "0123456789abcdef";
  char* const start = out.at();
  out.text("CAM.");
  write_part(out, source, Dots::kEscape, false);
  out.byte('.');
  write_part(out, camera_id, Dots::kKeep, true);
  const std::string_view whole(start, out.at());
  if (whole.size() <= kCameraUidBytesMost) return;
  std::uint64_t hash = fnv1a(whole);
  char* const end = start + kCameraUidBytesMost;
  for (std::size_t digit = 1; digit <= kDigits; ++digit, hash >>= 4) *(end - digit) = kHex[hash & 15];
  *(end - kDigits - 1) = '-';
  out.back_to(end);
}

void append_camera_uid(std::string& out, std::string_view source, std::string_view camera_id) {
  append_with(out, camera_uid_room(source, camera_id),
              [&](TextWriter& writer) { write_camera_uid(writer, source, camera_id); });
}

std::string camera_uid(std::string_view source, std::string_view camera_id) {
  std::string out;
  append_camera_uid(out, source, camera_id);
  return out;
}

}  // namespace detection::cot
