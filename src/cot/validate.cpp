#include "cot/validate.hpp"

#include <cstdint>
#include <cstring>
#include <map>
#include <pugixml.hpp>
#include <regex>
#include <set>

#include "detection/time.hpp"

namespace detection::cot {
namespace {

using std::string_literals::operator""s;

bool matches(const std::string& text, const char* pattern) {
  // The same few patterns again and again: std::regex takes long to build.
  thread_local std::map<const char*, std::regex> compiled;
  auto found = compiled.find(pattern);
  if (found == compiled.end()) found = compiled.emplace(pattern, std::regex(pattern)).first;
  return std::regex_match(text, found->second);
}

class Validator {
 public:
  std::vector<std::string> run(std::string_view xml) {
    check_text(xml);
    pugi::xml_document document;
    const auto parsed = document.load_buffer(xml.data(), xml.size(), pugi::parse_full, pugi::encoding_utf8);
    if (!parsed) {
      complain("not well-formed: "s + parsed.description());
      return std::move(violations_);
    }
    int roots = 0;
    for (const auto& node : document.children()) roots += node.type() == pugi::node_element ? 1 : 0;
    if (roots != 1) complain("there must be exactly one root");
    const auto event = document.document_element();
    if (std::strcmp(event.name(), "event") != 0) complain("the root must be event");
    check_event(event);
    check_children(event);
    return std::move(violations_);
  }

 private:
  void complain(std::string what) { violations_.push_back(std::move(what)); }

  void check_text(std::string_view xml) {
    constexpr std::string_view kHeader = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event ";
    constexpr std::string_view kEnd = "</event>";
    if (xml.size() > 2048) complain("more than 2048 bytes: " + std::to_string(xml.size()));
    if (!xml.starts_with(kHeader)) complain("must start with the XML header, a line end and the event");
    if (xml.find(kEnd) != xml.size() - kEnd.size()) complain("</event> must be its end and nowhere else");
    int line_ends = 0;
    for (const char c : xml) {
      if (c == '\n')
        ++line_ends;
      else if (c < 0x20 || c > 0x7e)
        complain("a byte that is not printable ASCII");
    }
    if (line_ends != 1) complain("more line ends than the one behind the header");
  }

  /// The value of a required attribute of a form; a complaint and "" otherwise.
  std::string attribute(const pugi::xml_node& node, const char* name, const char* pattern) {
    const auto found = node.attribute(name);
    const auto where = std::string(node.name()) + "@" + name;
    if (!found) {
      complain(where + " is missing");
      return {};
    }
    if (!matches(found.value(), pattern)) {
      complain(where + "='" + found.value() + "' is not of the form " + pattern);
      return {};
    }
    return found.value();
  }

  void only(const pugi::xml_node& node, const std::set<std::string>& known) {
    std::set<std::string> seen;
    for (const auto& found : node.attributes()) {
      const auto where = std::string(node.name()) + "@" + found.name();
      if (!known.contains(found.name())) complain(where + " is not known");
      if (!seen.insert(found.name()).second) complain(where + " is stated twice");
    }
  }

  UtcMicros time(const pugi::xml_node& event, const char* name) {
    const auto text = attribute(event, name, R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)");
    if (text.empty()) return {};
    const auto value = parse_rfc3339(text);
    if (!value) complain("event@"s + name + " is no time");
    return value.value_or(UtcMicros{});
  }

  void check_event(const pugi::xml_node& event) {
    only(event, {"version", "uid", "type", "how", "time", "start", "stale", "access", "qos", "opex", "caveat",
                 "releaseableTo"});
    attribute(event, "version", R"(2\.0)");
    uid_ = attribute(event, "uid", R"([A-Za-z0-9._-]+)");
    type_ = attribute(event, "type", R"(\w+(-\w+)*(;[^;]*)?)");
    if (type_.starts_with("a-") && !matches(type_, "a-[puafnshjko]-[PAGSUX](-.*)?"))
      complain("event@type '" + type_ + "' has no affiliation or dimension of an atom");
    attribute(event, "how", "m-[ifpsrgmc]|h-[ectp]");
    const auto made = time(event, "time"), start = time(event, "start"), stale = time(event, "stale");
    if (stale <= start) complain("event@stale must be after start: else it deletes");
    if (stale <= made) complain("event@stale must be after time");
    if (start > made) complain("event@start must not be after time");
    if (event.attribute("qos")) attribute(event, "qos", R"(\d-[rfi]-[gdc])");
    if (event.attribute("opex")) attribute(event, "opex", R"([oes](-[A-Za-z0-9_-]+)?)");
  }

  void check_children(const pugi::xml_node& event) {
    int points = 0, details = 0;
    for (const auto& child : event.children()) {
      const std::string name = child.name();
      if (name == "point")
        ++points, check_point(child);
      else if (name == "detail")
        ++details, check_detail(child);
      else
        complain("event has '" + name + "' or text in it");
    }
    if (points != 1) complain("an event has exactly one point");
    if (details > 1) complain("an event has at most one detail");
  }

  double decimal(const pugi::xml_node& node, const char* name, const char* pattern) {
    const auto text = attribute(node, name, pattern);
    if (text.empty()) return 0;
    if (matches(text, R"(-0+(\.0*)?)")) complain(std::string(node.name()) + "@" + name + " is -0");
    return std::stod(text);
  }

  void check_point(const pugi::xml_node& point) {
    constexpr const char* kDegrees = R"(-?\d{1,3}\.\d{7,8})";
    only(point, {"lat", "lon", "hae", "ce", "le"});
    if (point.first_child()) complain("point must be empty");
    const double lat = decimal(point, "lat", kDegrees), lon = decimal(point, "lon", kDegrees);
    if (lat < -90 || lat > 90) complain("point@lat is outside of -90..90");
    if (lon < -180 || lon > 180) complain("point@lon is outside of -180..180");
    for (const char* name : {"hae", "ce", "le"}) {
      const double value = decimal(point, name, R"(-?\d{1,7}\.\d+)");
      if (value >= 999'999 && std::strcmp(point.attribute(name).value(), "9999999.0") != 0)
        complain("point@"s + name + " unknown must be 9999999.0");
      if (value < 0 && std::strcmp(name, "hae") != 0) complain("point@"s + name + " is negative");
    }
    if (std::strcmp(point.attribute("hae").value(), "9999999.0") == 0 &&
        std::strcmp(point.attribute("le").value(), "9999999.0") != 0)
      complain("point@le is known although hae is not");
  }

  void check_detail(const pugi::xml_node& detail) {
    for (const auto& attribute : detail.attributes()) complain("detail@"s + attribute.name() + " is not known");
    std::set<std::string> names;
    for (const auto& child : detail.children()) {
      const std::string name = child.name();
      if (child.type() != pugi::node_element) {
        complain("detail has something other than elements in it");
        continue;
      }
      if (!names.insert(name).second && name != "link") complain("detail has " + name + " twice");
      check_detail_element(child, name);
    }
    for (const auto& name : required(names))
      if (!names.contains(name)) complain("detail has no " + name);
  }

  /// By what the event is about.
  [[nodiscard]] std::set<std::string> required(const std::set<std::string>& names) const {
    if (type_ == "t-x-takp-q") return {"TakControl"};
    if (type_.starts_with("t-")) return {};  // deletions and pings say nothing about a thing
    if (names.contains("takv")) return {"contact", "precisionlocation", "__group"};
    if (type_ == "b-m-p-s-p-loc") return {"contact", "precisionlocation", "sensor"};
    if (uid_.starts_with("SPI.")) return {"contact", "precisionlocation", "link"};
    return {"contact", "precisionlocation", "link", "color"};
  }

  void in_range(const pugi::xml_node& node, const char* name, double least, double below) {
    const double value = decimal(node, name, R"(-?\d{1,10}\.\d+)");
    if (value < least || value >= below) complain(std::string(node.name()) + "@" + name + " is out of range");
  }

  void check_sensor(const pugi::xml_node& node) {
    only(node, {"azimuth", "elevation", "roll", "fov", "vfov", "range", "model"});
    in_range(node, "azimuth", 0, 360);
    in_range(node, "elevation", -90, 90.001);
    in_range(node, "roll", -180, 180);
    in_range(node, "fov", 0, 360.001);
    in_range(node, "vfov", 0, 180.001);
    if (node.attribute("range")) in_range(node, "range", 0, 1e10);
    if (node.attribute("model")) attribute(node, "model", ".{1,64}");
    if (node.first_child()) complain("sensor must be empty");
  }

  void check_tak_control(const pugi::xml_node& node) {
    only(node, {});
    const auto request = node.first_child();
    if (type_ != "t-x-takp-q" || std::strcmp(request.name(), "TakRequest") != 0 || request.next_sibling())
      complain("TakControl must be a request and have one TakRequest");
    only(request, {"version"});
    attribute(request, "version", R"(\d+)");
  }

  void check_detail_element(const pugi::xml_node& node, const std::string& name) {
    if (name == "contact") {
      only(node, {"callsign"});  // an endpoint would make a contact of the uid
      attribute(node, "callsign", R"([^\s].{0,63})");
    } else if (name == "precisionlocation") {
      only(node, {"altsrc", "geopointsrc"});
      attribute(node, "altsrc", R"(DTED[0-3]|SRTM1|LIDAR|GPS|CALC|ESTIMATED|USER|\?\?\?)");
      if (node.attribute("geopointsrc")) attribute(node, "geopointsrc", R"(GPS|CALC|ESTIMATED|USER|\?\?\?)");
    } else if (name == "link") {
      only(node, {"uid", "type", "relation"});
      attribute(node, "uid", R"([A-Za-z0-9._:-]+)");  // NMTOKEN
      attribute(node, "type", R"(\w+(-\w+)*)");
      attribute(node, "relation", type_ == "t-x-d-d" ? "none" : "p-p");
    } else if (name == "color") {
      only(node, {"argb"});  // `value` is an old mistake
      const auto argb = attribute(node, "argb", R"(-?\d{1,10})");
      if (!argb.empty() && (std::stoll(argb) < INT32_MIN || std::stoll(argb) > INT32_MAX))
        complain("color@argb is no signed 32-bit number");
    } else if (name == "remarks") {
      only(node, {});
      if (std::strlen(node.child_value()) == 0) complain("remarks is empty");
    } else if (name == "sensor") {
      check_sensor(node);
    } else if (name == "takv") {
      only(node, {"platform", "version"});
      attribute(node, "platform", ".{1,64}");
      attribute(node, "version", ".{1,64}");
    } else if (name == "__group") {
      only(node, {"name", "role"});
      attribute(node, "name", ".{1,64}");
      attribute(node, "role", ".{1,64}");
    } else if (name == "TakControl") {
      check_tak_control(node);
    } else if (name == "__forcedelete") {
      if (type_ != "t-x-d-d") complain("__forcedelete in an event that deletes nothing");
      only(node, {});
    } else if (name == "archive") {
      complain("archive keeps a point for ever: never on automatic output");
    } else if (!matches(node.attribute("xmlns").value(), R"([a-z]+:\S+)")) {
      complain("detail has " + name + ", which is neither TAK's nor has a namespace");
    } else {
      // These four are names, and "nan" is a legal one.
      for (const auto& found : node.attributes())
        if (!matches(found.name(), "id|class|source|camera") &&
            matches(found.value(), "[+-]?([nN][aA][nN]|[iI][nN][fF].*)"))
          complain(name + "@" + found.name() + " is no number");
    }
  }

  std::vector<std::string> violations_;
  std::string uid_, type_;
};

}  // namespace

std::vector<std::string> violations(std::string_view xml) {
  return Validator{}.run(xml);
}

}  // namespace detection::cot
