// What a request brings and what it wants: Content-Type, Content-Encoding, Accept (RFC 9110 section 12).

#include <algorithm>
#include <array>
#include <span>

#include "http/api.hpp"
#include "http/media.hpp"

namespace detection::http {
namespace {

using Types = std::span<const std::string_view>;

constexpr std::string_view kJson = "application/json", kXml = "application/xml", kGeoJson = "application/geo+json",
                           kHtml = "text/html", kNdjson = "application/x-ndjson",
                           kForm = "application/x-www-form-urlencoded";

constexpr std::array<std::string_view, 1> kOnlyJson{kJson}, kOnlyEvents{"text/event-stream"};
constexpr std::array<std::string_view, 2> kJsonOrXml{kJson, kXml}, kJsonOrGeo{kJson, kGeoJson},
    kJsonOrLines{kJson, kNdjson}, kJsonOrForm{kJson, kForm}, kXmls{kXml, "text/xml"}, kHtmlOrJson{kHtml, kJson};

/// What the body of a request may be, the plain form first; none: it has no body.
Types taken_by(Route route, Method method) {
  if (method != Method::kPost && method != Method::kPut) return {};
  if (route == Route::kBatch) return kJsonOrLines;
  if (route == Route::kAuthToken) return kJsonOrForm;
  const bool json = route == Route::kDetections || route == Route::kApiKeys || route == Route::kDetectionVerify ||
                    route == Route::kAuthRevoke;
  return json ? Types(kOnlyJson) : Types();
}

/// What the answer may be, best first; none: one form, for whoever asks.
Types given_by(Route route, Method method) {
  if (method == Method::kDelete) return {};
  switch (route) {
    case Route::kDetections: return method == Method::kPost ? kJsonOrXml : kJsonOrGeo;
    case Route::kDetection: return kJsonOrXml;
    case Route::kDetectionCot: return kXmls;
    case Route::kAudit: return kJsonOrLines;
    case Route::kEvents: return kOnlyEvents;
    case Route::kProblem: return kHtmlOrJson;
    case Route::kBatch:
    case Route::kDetectionAudit:
    case Route::kDetectionVerify:
    case Route::kDelivery:
    case Route::kDeliveryRetry:
    case Route::kDeadLetters:
    case Route::kAuditVerify:
    case Route::kAuthToken:
    case Route::kAuthRevoke:
    case Route::kApiKeys:
    case Route::kApiKey:
    case Route::kApiKeyRotate: return kOnlyJson;
    case Route::kJwks:
    case Route::kDocs:
    case Route::kHealth:
    case Route::kReady:
    case Route::kMetrics:
    case Route::kOpenApi:
    case Route::kConsole:
    case Route::kConsoleAsset: return {};
  }
  return {};
}

/// "a", "a or b".
std::string listed(Types types) {
  std::string text;
  for (const auto type : types) text.append(text.empty() ? "" : " or ").append(type);
  return text;
}

}  // namespace

std::optional<Refusal> Api::negotiate(Exchange& x, Route route) {
  if (const auto types = taken_by(route, x.head.method); !types.empty()) {
    const auto type = std::ranges::find_if(types, [&](auto one) { return is_media_type(x.head.content_type, one); });
    if (type == types.end())
      return Refusal{{ErrorCode::kUnsupportedMediaType, "Content-Type must be " + listed(types) + ", in UTF-8"}};
    if (!x.head.content_encoding.empty() && !equal_ignoring_case(x.head.content_encoding, "identity"))
      return Refusal{{ErrorCode::kUnsupportedMediaType, "Content-Encoding is not supported"}};
    x.notes.other_form = type != types.begin();
  }
  const auto offers = given_by(route, x.head.method);
  if (offers.empty()) return std::nullopt;
  const auto choice = choose_media_type(x.head.accept, offers);
  if (!choice && route != Route::kProblem)
    return Refusal{{ErrorCode::kNotAcceptable, "this path can give " + listed(offers)}};
  const bool second = choice.value_or(1) == 1;
  if (route == Route::kDetectionCot || offers.size() < 2) return std::nullopt;
  if (offers[1] == kXml)
    x.notes.wants_xml = second;
  else
    // A problem is read by people only where they ask for HTML.
    x.notes.other_form = route == Route::kProblem ? !second && x.head.has_accept : second;
  return std::nullopt;
}

}  // namespace detection::http
