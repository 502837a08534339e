#include "cot/negotiation.hpp"

#include <charconv>
#include <pugixml.hpp>

#include "cot/event_head.hpp"
#include "cot/reader.hpp"
#include "cot/xml_document.hpp"

namespace detection::cot {
namespace {

constexpr std::string_view kOffer = "t-x-takp-v";
constexpr std::string_view kRequest = "t-x-takp-q";
constexpr std::string_view kResponse = "t-x-takp-r";
constexpr MarkupLimits kLimits{};

/// The event's TakControl when the event is of that type and says its uid.
pugi::xml_node take_control(std::string_view xml, std::string_view type, pugi::xml_document& document,
                            std::string& uid) {
  const auto name = read_event_name(xml);
  if (!name || name->type != type || !parse_xml(xml, kLimits, document)) return {};
  const auto event = document.document_element();
  uid = event.attribute("uid").value();
  if (std::string_view(event.name()) != "event" || event.attribute("type").value() != type || uid.empty()) return {};
  return event.child("detail").child("TakControl");
}

bool says_true(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text == "true" || text == "1";
}

}  // namespace

std::optional<ProtocolOffer> read_protocol_offer(std::string_view xml) {
  pugi::xml_document document;
  ProtocolOffer offer;
  const auto control = take_control(xml, kOffer, document, offer.uid);
  if (!control) return std::nullopt;
  for (const auto& support : control.children("TakProtocolSupport")) {
    const std::string_view text = support.attribute("version").value();
    std::uint32_t version = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    if (error == std::errc{} && end == text.data() + text.size()) offer.versions.push_back(version);
  }
  return offer;
}

std::optional<ProtocolResponse> read_protocol_response(std::string_view xml) {
  pugi::xml_document document;
  ProtocolResponse response;
  const auto answer = take_control(xml, kResponse, document, response.uid).child("TakResponse");
  if (!answer) return std::nullopt;
  response.accepted = says_true(answer.attribute("status").value());
  return response;
}

void append_protocol_request_xml(std::string& out, std::string_view uid, std::uint32_t version, UtcMicros now) {
  append_control_head(out, uid, "", kRequest, now);
  out.append("<TakControl><TakRequest version=\"").append(std::to_string(version)).append("\"/></TakControl>");
  out.append(kTail);
}

void append_auth_xml(std::string& out, std::string_view username, std::string_view password, std::string_view uid) {
  append_text(out, "<auth><cot username=\"", username);
  append_text(out, "\" password=\"", password);
  append_text(out, "\" uid=\"", uid);
  append_text(out, "\" callsign=\"", uid);
  out.append("\"/></auth>");
}

}  // namespace detection::cot
