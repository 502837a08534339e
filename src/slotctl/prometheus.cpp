#include "slotctl/prometheus.hpp"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace detection::slotctl {
namespace {

/// The number of an instant query's answer:
/// {"status":"success","data":{"resultType":"vector","result":[{"value":[t,"v"]}]}}.
Result<std::optional<double>> read_value(const std::string& body) {
  simdjson::dom::parser json;
  simdjson::dom::element root;
  std::string_view text;
  const bool is_json = json.parse(body).get(root) == simdjson::SUCCESS;
  if (!is_json || root["status"].get(text) != simdjson::SUCCESS)
    return fail(ErrorCode::kMalformedJson, "the answer is not Prometheus': " + body.substr(0, 120));
  if (text != "success") {
    if (root["error"].get(text) != simdjson::SUCCESS) text = "without a reason";
    return fail(ErrorCode::kInternal, "Prometheus refuses a query: " + std::string(text));
  }
  if (root.at_pointer("/data/result/0/value/1").get(text) != simdjson::SUCCESS) return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || !std::isfinite(value)) return std::nullopt;  // NaN: no request in the window
  return value;
}

}  // namespace

Expressions expressions(const std::string& space, Slot slot, double window_s) {
  const auto of = R"({job="detection-api",namespace=")" + space + R"(",slot=")" + std::string(slot_name(slot)) + "\"";
  const auto window = "}[" + std::to_string(static_cast<long>(window_s)) + "s]";
  // As the alerts count them: without the probes; latency without what grows with its size.
  const std::string routes = R"(,route!~"/health|/ready|/metrics")";
  const std::string timed =
      R"(,route!~"/health|/ready|/metrics|/api/v1/detections/batch|/api/v1/audit/verify|/api/v1/events")";
  Expressions e;
  e.requests = "sum(increase(http_requests_total" + of + routes + window + "))";
  e.errors = "sum(increase(http_requests_total" + of + routes + R"(,status_code=~"5..")" + window + "))";
  e.latency_p95 =
      "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket" + of + timed + window + ")))";
  e.tak_p95 = "max(histogram_quantile(0.95, sum by (sink, le) (rate(tak_push_duration_seconds_bucket" + of + window +
              "))) >= 0)";
  e.green = "sum(increase(detections_processed_total" + of + R"(,confidence_flag="GREEN")" + window + "))";
  e.located =
      "sum(increase(detections_processed_total" + of + R"(,confidence_flag=~"GREEN|YELLOW|RED")" + window + "))";
  e.queue = "max(offline_queue_size" + of + "})";
  return e;
}

Prometheus::Prometheus(PrometheusOptions options, std::function<Result<std::string>()> address)
    : options_(std::move(options)), address_(std::move(address)) {}

Result<std::optional<double>> Prometheus::value(const std::string& expression, double at_s) {
  auto base = address_();
  if (!base) return std::unexpected(base.error());
  if (!web_ || *base != base_) web_ = std::make_unique<Web>(*base, "", options_.request_most);
  base_ = std::move(*base);
  auto form = "query=" + Web::escaped(expression);
  if (at_s > 0) {
    std::array<char, 48> time{};
    std::snprintf(time.data(), time.size(), "&time=%.3f", at_s);
    form += time.data();
  }
  const auto answer = web_->post_form("/api/v1/query", form);
  if (!answer) return fail(ErrorCode::kStoreUnavailable, "Prometheus does not answer: " + answer.error().detail);
  if (answer->status != 200 && answer->status != 400 && answer->status != 422)
    return fail(ErrorCode::kStoreUnavailable, "Prometheus answers " + std::to_string(answer->status));
  return read_value(answer->body);
}

Result<Figures> Prometheus::figures(Slot slot, double at_s, double window_s) {
  const auto e = expressions(options_.space, slot, window_s);
  Figures figures;
  std::optional<double> requests, errors, green, located;
  struct Asked {
    const std::string& expression;
    std::optional<double>& into;
  };
  for (const auto& [expression, into] :
       {Asked{e.requests, requests}, Asked{e.errors, errors}, Asked{e.latency_p95, figures.latency_p95_s},
        Asked{e.tak_p95, figures.tak_p95_s}, Asked{e.green, green}, Asked{e.located, located},
        Asked{e.queue, figures.queue_items}}) {
    auto asked = value(expression, at_s);
    if (!asked) return std::unexpected(asked.error());
    into = *asked;
  }
  figures.requests = requests.value_or(0);
  if (figures.requests > 0) figures.error_ratio = errors.value_or(0) / figures.requests;
  if (located.value_or(0) > 0) figures.green_ratio = green.value_or(0) / *located;
  return figures;
}

}  // namespace detection::slotctl
