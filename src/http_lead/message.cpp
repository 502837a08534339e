#include "http/message.hpp"

#include <algorithm>
#include <charconv>

#include "http/detection_json.hpp"

namespace detection::http {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `each` for the parts of `text` between `separator`s.
template <class Each>
void split(std::string_view text, char separator, Each each) {
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(x) == lower(y);
  });
}

/// How exactly a media range names a type: 3 exact, 2 type/*, 1 */*, 0 not at all.
int specificity(std::string_view range, std::string_view type) {
  if (same(range, type)) return 3;
  if (range == "*/*") return 1;
  const auto slash = type.find('/');
  return range.ends_with("/*") && same(range.substr(0, range.size() - 2), type.substr(0, slash)) ? 2 : 0;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out.push_back(' ');
    } else if (text[i] == '%') {
      unsigned value = 0;
      if (i + 2 >= text.size()) return std::nullopt;
      const auto [end, problem] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      if (problem != std::errc{} || end != text.data() + i + 3 || value == 0) return std::nullopt;
      out.push_back(static_cast<char>(value));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

std::string_view route_template(Route route) noexcept {
  switch (route) {
    case Route::kDetections: return "/api/v1/detections";
    case Route::kBatch: return "/api/v1/detections/batch";
    case Route::kDetection: return "/api/v1/detections/{id}";
    case Route::kDetectionCot: return "/api/v1/detections/{id}/cot";
    case Route::kDetectionAudit: return "/api/v1/detections/{id}/audit";
    case Route::kDelivery: return "/api/v1/delivery";
    case Route::kHealth: return "/health";
    case Route::kReady: return "/ready";
    case Route::kMetrics: return "/metrics";
    case Route::kOpenApi: return "/openapi.json";
    case Route::kProblem: return "/problems/{code}";
    case Route::kNone: return "none";
  }
  return "none";
}

std::string_view method_label(Method method) noexcept {
  switch (method) {
    case Method::kGet: return "GET";
    case Method::kHead: return "HEAD";
    case Method::kPost: return "POST";
    case Method::kOther: return "other";
  }
  return "other";
}

Response problem_response(const Error& error, std::string_view instance) {
  Response response;
  response.status = http_status(error.code);
  response.content_type = "application/problem+json";
  if (response.status == 401) {
    response.headers = "WWW-Authenticate: Bearer realm=\"detection-api\", error=\"invalid_token\"\r\n";
  } else if (response.status == 403) {
    response.headers = "WWW-Authenticate: Bearer realm=\"detection-api\", error=\"insufficient_scope\"\r\n";
  } else if (response.status == 429 || response.status == 503) {
    response.headers = "Retry-After: 1\r\n";
  }
  append_problem(response.body, error, instance);
  return response;
}

double accept_quality(std::string_view accept, std::string_view type) {
  if (trimmed(accept).empty()) return 1;
  int best = 0;
  double quality = 0;
  split(accept, ',', [&](std::string_view part) {
    const auto range = trimmed(part.substr(0, part.find(';')));
    const int fit = specificity(range, type);
    if (fit <= best) return;
    best = fit;
    quality = 1;
    split(part, ';', [&](std::string_view parameter) {
      parameter = trimmed(parameter);
      if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
        double q = 0;
        const auto text = parameter.substr(2);
        if (std::from_chars(text.data(), text.data() + text.size(), q).ec == std::errc{})
          quality = std::clamp(q, 0.0, 1.0);
      }
    });
  });
  return quality;
}

Result<std::optional<std::string>> query_value(std::string_view query, std::string_view name) {
  std::optional<std::string> found;
  std::optional<std::string> wrong;
  split(query, '&', [&](std::string_view pair) {
    const auto equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != name) return;
    if (found) wrong = "must stand there once";
    found = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!found) wrong = "has a wrong percent-escape";
  });
  if (wrong)
    return fail(ErrorCode::kValidationFailed, "the query breaks the rules that are listed",
                {{std::string(name), *wrong}});
  return found;
}

std::vector<std::string> query_names(std::string_view query) {
  std::vector<std::string> names;
  split(query, '&', [&](std::string_view pair) {
    if (!pair.empty()) names.emplace_back(pair.substr(0, pair.find('=')));
  });
  return names;
}

}  // namespace detection::http
