#include "cot/typed_detail.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <map>
#include <pugixml.hpp>

#include "cot/utf8.hpp"
#include "cot/xml_document.hpp"
#include "cot/xml_text.hpp"

namespace detection::cot {
namespace {

constexpr std::string_view kOpen = "<detail>", kClose = "</detail>";
constexpr std::string_view kSpace = " \t\r\n";

std::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::kValidationFailed, std::move(why));
}

/// A child of <detail> seen as a message.
class Element {
 public:
  explicit Element(const pugi::xml_node& node) : node_(node) {}

  /// Nothing but these attributes, none of them empty: an empty one would not be restored.
  [[nodiscard]] bool has_only(std::initializer_list<std::string_view> names) const {
    for (const auto& attribute : node_.attributes()) {
      if (std::ranges::find(names, std::string_view(attribute.name())) == names.end()) return false;
      if (*attribute.value() == '\0') return false;
    }
    return true;
  }
  [[nodiscard]] bool has(std::initializer_list<const char*> names) const {
    return std::ranges::all_of(names, [&](const char* name) { return !node_.attribute(name).empty(); });
  }
  [[nodiscard]] const char* text(const char* name) const { return node_.attribute(name).value(); }

 private:
  pugi::xml_node node_;
};

// Each takes an element over, or says that it has to stay XML.

bool take_contact(const Element& from, wire::Detail& out) {
  if (!from.has_only({"endpoint", "callsign"}) || !from.has({"callsign"})) return false;
  out.mutable_contact()->set_endpoint(from.text("endpoint"));
  out.mutable_contact()->set_callsign(from.text("callsign"));
  return true;
}

bool take_group(const Element& from, wire::Detail& out) {
  if (!from.has_only({"name", "role"}) || !from.has({"name", "role"})) return false;
  out.mutable_group()->set_name(from.text("name"));
  out.mutable_group()->set_role(from.text("role"));
  return true;
}

bool take_precision_location(const Element& from, wire::Detail& out) {
  if (!from.has_only({"altsrc", "geopointsrc"}) || !from.has({"altsrc"})) return false;
  out.mutable_precision_location()->set_altsrc(from.text("altsrc"));
  out.mutable_precision_location()->set_geopointsrc(from.text("geopointsrc"));
  return true;
}

bool take_status(const Element& from, wire::Detail& out) {
  if (!from.has_only({"battery"}) || !from.has({"battery"})) return false;
  const std::string_view text = from.text("battery");
  std::uint32_t battery = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), battery);
  if (error != std::errc{} || std::to_string(battery) != text) return false;
  out.mutable_status()->set_battery(battery);
  return true;
}

bool take_takv(const Element& from, wire::Detail& out) {
  if (!from.has_only({"device", "platform", "os", "version"}) || !from.has({"platform", "version"})) return false;
  auto& takv = *out.mutable_takv();
  takv.set_device(from.text("device"));
  takv.set_platform(from.text("platform"));
  takv.set_os(from.text("os"));
  takv.set_version(from.text("version"));
  return true;
}

bool take_track(const Element& from, wire::Detail& out) {
  if (!from.has_only({"speed", "course"})) return false;
  const auto speed = read_number(from.text("speed")), course = read_number(from.text("course"));
  if (!speed || !course) return false;
  out.mutable_track()->set_speed(*speed);
  out.mutable_track()->set_course(*course);
  return true;
}

struct TypedElement {
  std::string_view name;
  bool (*take)(const Element&, wire::Detail&);
};
constexpr std::array<TypedElement, 6> kTyped{{{"contact", take_contact},
                                              {"__group", take_group},
                                              {"precisionlocation", take_precision_location},
                                              {"status", take_status},
                                              {"takv", take_takv},
                                              {"track", take_track}}};

/// Behind the element without children that starts at `start`.
std::size_t end_of_empty_element(std::string_view text, std::size_t start) {
  std::size_t at = start;
  for (char quote = '\0'; at < text.size() && (quote != '\0' || text[at] != '>'); ++at) {
    if (quote != '\0')
      quote = text[at] == quote ? '\0' : quote;
    else if (text[at] == '"' || text[at] == '\'')
      quote = text[at];
  }
  if (text[at - 1] != '/') at = text.find('>', at + 1);
  return at + 1;
}

/// The element as XML, without attributes that are empty.
class ElementText {
 public:
  ElementText(std::string& out, std::string_view name) : out_(out) { out_.append("<").append(name); }
  ~ElementText() { out_.append("/>"); }
  ElementText(const ElementText&) = delete;
  ElementText& operator=(const ElementText&) = delete;

  ElementText& text(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    open(name);
    append_escaped(out_, value);
    out_.push_back('"');
    return *this;
  }
  /// The shortest text that reads back the same, with a point and no exponent.
  ElementText& number(std::string_view name, double value) {
    if (!std::isfinite(value)) return *this;
    std::array<char, 400> digits;  // the smallest double has 343
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed).ptr;
    const std::string_view text(digits.data(), end);
    open(name);
    out_.append(text).append(text.find('.') == std::string_view::npos ? ".0\"" : "\"");
    return *this;
  }

 private:
  void open(std::string_view name) { out_.append(" ").append(name).append("=\""); }

  std::string& out_;
};

bool typed_texts_are_texts(const wire::Detail& detail) {
  const auto good = [](const std::string& text) { return is_xml_text(text); };
  const auto& takv = detail.takv();
  return good(detail.contact().callsign()) && good(detail.contact().endpoint()) && good(detail.group().name()) &&
         good(detail.group().role()) && good(detail.precision_location().altsrc()) &&
         good(detail.precision_location().geopointsrc()) && good(takv.device()) && good(takv.platform()) &&
         good(takv.os()) && good(takv.version());
}

void append_typed(std::string& out, const wire::Detail& detail, const pugi::xml_node& xml) {
  const auto wanted = [&](bool stated, const char* name) { return stated && !xml.child(name); };
  if (wanted(detail.has_contact(), "contact"))
    ElementText(out, "contact")
        .text("callsign", detail.contact().callsign())
        .text("endpoint", detail.contact().endpoint());
  if (wanted(detail.has_group(), "__group"))
    ElementText(out, "__group").text("name", detail.group().name()).text("role", detail.group().role());
  if (wanted(detail.has_precision_location(), "precisionlocation"))
    ElementText(out, "precisionlocation")
        .text("altsrc", detail.precision_location().altsrc())
        .text("geopointsrc", detail.precision_location().geopointsrc());
  if (wanted(detail.has_status(), "status"))
    ElementText(out, "status").text("battery", std::to_string(detail.status().battery()));
  if (wanted(detail.has_takv(), "takv"))
    ElementText(out, "takv")
        .text("device", detail.takv().device())
        .text("platform", detail.takv().platform())
        .text("os", detail.takv().os())
        .text("version", detail.takv().version());
  if (wanted(detail.has_track(), "track"))
    ElementText(out, "track").number("course", detail.track().course()).number("speed", detail.track().speed());
}

/// `xml` inside <detail>, parsed so that nothing in it goes unseen.
Result<void> parse_detail(std::string_view xml, const MarkupLimits& limits, std::string& text,
                          pugi::xml_document& document) {
  MarkupLimits wrapped = limits;
  wrapped.bytes += kOpen.size() + kClose.size();
  text.reserve(xml.size() + kOpen.size() + kClose.size());
  text.append(kOpen).append(xml).append(kClose);
  const auto parsed = parse_xml(text, wrapped, document, pugi::parse_default | pugi::parse_comments | pugi::parse_pi);
  if (!parsed) return std::unexpected(parsed.error());
  return {};
}

/// Some send the detail as a document.
std::string_view without_declaration(std::string_view xml) {
  if (!xml.starts_with("<?xml") || xml.size() < 6 || kSpace.find(xml[5]) == std::string_view::npos) return xml;
  const auto end = xml.find("?>");
  return end == std::string_view::npos ? xml : xml.substr(end + 2);
}

}  // namespace

Result<void> split_detail(std::string_view xml, const MarkupLimits& limits, wire::Detail& out) {
  std::string text;
  pugi::xml_document document;
  if (auto done = parse_detail(xml, limits, text, document); !done) return done;
  const auto detail = document.document_element();
  std::map<std::string_view, int> count;
  for (const auto& child : detail.children())
    if (child.type() == pugi::node_element) ++count[child.name()];

  std::string rest;
  std::size_t kept = kOpen.size();  // up to where `text` is taken care of
  for (const auto& child : detail.children()) {
    if (child.type() != pugi::node_element || child.first_child() || count[child.name()] > 1) continue;
    const auto typed = std::ranges::find(kTyped, std::string_view(child.name()), &TypedElement::name);
    if (typed == kTyped.end() || !typed->take(Element(child), out)) continue;
    const auto start = static_cast<std::size_t>(child.offset_debug()) - 1;  // of its '<'
    rest.append(text, kept, start - kept);
    kept = end_of_empty_element(text, start);
  }
  rest.append(text, kept, text.size() - kClose.size() - kept);
  if (rest.find_first_not_of(kSpace) != std::string::npos) out.set_xml_detail(std::move(rest));
  return {};
}

Result<std::string> join_detail(const wire::Detail& detail, const MarkupLimits& limits) {
  if (!typed_texts_are_texts(detail)) return refuse("a text of the detail is not UTF-8 as XML has it");
  const auto xml = without_declaration(detail.xml_detail());
  std::string text;
  pugi::xml_document document;
  if (auto done = parse_detail(xml, limits, text, document); !done) return std::unexpected(std::move(done.error()));
  std::string out;
  append_typed(out, detail, document.document_element());
  out.append(xml);
  return out;
}

}  // namespace detection::cot
