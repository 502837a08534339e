#include "cot/markup.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "cot/utf8.hpp"

namespace detection::cot {
namespace {

using Complaint = std::optional<std::string>;

constexpr std::string_view kSpace = " \t\r\n";

Complaint check_characters(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x80) {
      ++i;
      continue;
    }
    const auto character = decode_utf8(text.substr(i));
    if (character.bytes == 0) return "byte " + std::to_string(i) + " is not UTF-8";
    if (!is_xml_character(character.value)) return "byte " + std::to_string(i) + " is a character that XML forbids";
    i += character.bytes;
  }
  return std::nullopt;
}

/// The next character of a tag that matters to its outline; find_first_of is several times slower.
std::size_t find_in_tag(std::string_view text, std::size_t at) {
  for (; at < text.size(); ++at)
    if (const char c = text[at]; c == '"' || c == '\'' || c == '<' || c == '>') return at;
  return std::string_view::npos;
}

/// `name` is what stands between '&' and ';'.
bool is_reference(std::string_view name) {
  if (!name.starts_with('#')) return name == "lt" || name == "gt" || name == "amp" || name == "quot" || name == "apos";
  name.remove_prefix(1);
  const bool hex = name.starts_with('x');
  if (hex) name.remove_prefix(1);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value, hex ? 16 : 10);
  return error == std::errc{} && end == name.data() + name.size() && is_xml_character(value);
}

Complaint check_references(std::string_view text) {
  constexpr std::size_t kLongest = 10;
  for (auto at = text.find('&'); at != std::string_view::npos; at = text.find('&', at + 1)) {
    const auto end = text.substr(at, kLongest + 2).find(';');
    if (end == std::string_view::npos || !is_reference(text.substr(at + 1, end - 1)))
      return "an '&' starts no character reference that XML knows";
  }
  return std::nullopt;
}

class Scan {
 public:
  Scan(std::string_view text, const MarkupLimits& limits) : text_(text), limits_(limits) {}

  Result<Outline> run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    start_ = at_;
    Complaint complaint;
    while (at_ < text_.size() && !complaint) complaint = text_[at_] == '<' ? tag() : character_data();
    if (!complaint && !root_seen_) complaint = "there is no element";
    if (!complaint && depth_ > 0) complaint = "it ends inside an element";
    if (complaint) return fail(ErrorCode::kValidationFailed, "not XML as CoT uses it: " + *complaint);
    return outline_;
  }

 private:
  Complaint character_data() {
    const auto end = std::min(text_.find('<', at_), text_.size());
    const auto data = text_.substr(at_, end - at_);
    at_ = end;
    if (depth_ == 0)
      return data.find_first_not_of(kSpace) == std::string_view::npos ? Complaint{} : "text outside the root";
    return check_references(data);
  }

  Complaint tag() {
    const auto rest = text_.substr(at_);
    if (rest.starts_with("<?")) {
      if (at_ != start_ && rest.size() > 5 && rest.starts_with("<?xml") && kSpace.find(rest[5]) != kSpace.npos)
        return "an XML declaration that is not at the start";
      return skip_to("?>", 2);
    }
    if (rest.starts_with("<!--")) return skip_to("-->", 4);
    if (rest.starts_with("<![CDATA[")) {
      if (depth_ == 0) return "text outside the root";
      return skip_to("]]>", 9);
    }
    if (rest.starts_with("<!")) return "a DOCTYPE or another declaration";
    if (rest.starts_with("</")) return close_tag();
    return open_tag();
  }

  Complaint skip_to(std::string_view end, std::size_t opening) {
    const auto found = text_.find(end, at_ + opening);
    if (found == std::string_view::npos) return "it ends inside '" + std::string(text_.substr(at_, opening)) + "'";
    at_ = found + end.size();
    return std::nullopt;
  }

  Complaint close_tag() {
    if (depth_ == 0) return "an end tag outside the root";
    const auto end = text_.find('>', at_);
    if (end == std::string_view::npos) return "it ends inside a tag";
    --depth_;
    if (depth_ == 1 && in_detail_) {
      in_detail_ = false;
      if (outline_.details == 1) outline_.detail_text = text_.substr(detail_start_, at_ - detail_start_);
    }
    at_ = end + 1;
    return std::nullopt;
  }

  Complaint open_tag() {
    if (depth_ == 0 && root_seen_) return "a second root";
    root_seen_ = true;
    if (depth_ == limits_.depth) return "more than " + std::to_string(limits_.depth) + " elements inside each other";
    const auto name = text_.substr(at_ + 1, text_.find_first_of(" \t\r\n/>", at_) - at_ - 1);
    std::size_t end = at_ + 1;
    std::size_t attributes = 0;
    while (true) {
      end = find_in_tag(text_, end);
      if (end == std::string_view::npos) return "it ends inside a tag";
      if (text_[end] == '>') break;
      if (text_[end] == '<') return "a '<' inside a tag";
      const auto close = text_.find(text_[end], end + 1);
      if (close == std::string_view::npos) return "it ends inside an attribute";
      const auto value = text_.substr(end + 1, close - end - 1);
      if (value.find('<') != std::string_view::npos) return "a '<' inside an attribute";
      if (auto complaint = check_references(value)) return complaint;
      if (++attributes > limits_.attributes)
        return "an element with more than " + std::to_string(limits_.attributes) + " attributes";
      end = close + 1;
    }
    const bool is_detail = depth_ == 1 && name == "detail";
    const bool is_empty = text_[end - 1] == '/';
    at_ = end + 1;
    if (is_detail) ++outline_.details;
    if (is_empty) return std::nullopt;
    ++depth_;
    if (is_detail) {
      in_detail_ = true;
      detail_start_ = at_;
    }
    return std::nullopt;
  }

  std::string_view text_;
  const MarkupLimits& limits_;
  std::size_t at_ = 0;
  std::size_t start_ = 0;
  std::size_t depth_ = 0;
  bool root_seen_ = false;
  bool in_detail_ = false;
  std::size_t detail_start_ = 0;
  Outline outline_;
};

}  // namespace

Result<Outline> outline(std::string_view text, const MarkupLimits& limits) {
  if (text.size() > limits.bytes)
    return fail(ErrorCode::kValidationFailed,
                "an event has at most " + std::to_string(limits.bytes) + " bytes, not " + std::to_string(text.size()));
  if (const auto complaint = check_characters(text))
    return fail(ErrorCode::kValidationFailed, "not XML as CoT uses it: " + *complaint);
  return Scan(text, limits).run();
}

}  // namespace detection::cot
