#include "cot/uid.hpp"

#include <cstdint>

namespace detection::cot {
namespace {

constexpr bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

enum class Dots : bool { kKeep, kEscape };

/// `last` part of a uid: nothing follows it; else a '.' does.
void append_escaped(std::string& out, std::string_view name, Dots dots, bool last) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (is_alphanumeric(c) || c == '-') {
      out.push_back(c);
    } else if (c == '.') {
      out.append(dots == Dots::kEscape ? "_-" : ".");
    } else if (c == '_') {
      // What is written next is a letter or digit exactly when the next character is one (escapes start with '_').
      const bool plain = i + 1 < name.size() ? is_alphanumeric(name[i + 1]) : last;
      out.append(plain ? "_" : "__");
    } else {
      out.append("_.");  // ':', the one legal character that is left
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
  out.reserve(prefix.size() + (track_id ? source.size() + track_id->size() + 8 : 37));
  out.append(prefix);
  out.push_back('.');
  if (track_id) {
    append_escaped(out, source, Dots::kEscape, false);
    out.push_back('.');
    append_escaped(out, *track_id, Dots::kKeep, true);
  } else {
    append_uuid(out, id);
  }
  return out;
}

void append_camera_uid(std::string& out, std::string_view source, std::string_view camera_id) {
  constexpr std::size_t kDigits = 16;
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t start = out.size();
  out.append("CAM.");
  append_escaped(out, source, Dots::kEscape, false);
  out.push_back('.');
  append_escaped(out, camera_id, Dots::kKeep, true);
  if (out.size() - start <= kCameraUidBytesMost) return;
  std::uint64_t hash = fnv1a(std::string_view(out).substr(start));
  out.resize(start + kCameraUidBytesMost);
  for (std::size_t digit = 1; digit <= kDigits; ++digit, hash >>= 4) out[out.size() - digit] = kHex[hash & 15];
  out[out.size() - kDigits - 1] = '-';
}

std::string camera_uid(std::string_view source, std::string_view camera_id) {
  std::string out;
  append_camera_uid(out, source, camera_id);
  return out;
}

}  // namespace detection::cot
