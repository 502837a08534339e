#include "app/answer.hpp"

#include <jansson.h>

#include <memory>

namespace detection::app {
namespace {

struct Release {
  void operator()(json_t* json) const noexcept { json_decref(json); }
};

std::unique_ptr<json_t, Release> parse(std::string_view body) {
  json_error_t error{};
  return std::unique_ptr<json_t, Release>(json_loadb(body.data(), body.size(), 0, &error));
}

std::string text_at(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text == nullptr ? std::string() : text;
}

std::optional<double> number_at(const json_t* object, const char* key) {
  const auto* value = json_object_get(object, key);
  return json_is_number(value) ? std::optional(json_number_value(value)) : std::nullopt;
}

}  // namespace

AnswerSummary read_answer(std::string_view body) {
  const auto answer = parse(body);
  AnswerSummary summary;
  const auto* position = json_object_get(answer.get(), "position");
  summary.lat_deg = number_at(position, "lat").value_or(0);
  summary.lon_deg = number_at(position, "lon").value_or(0);
  summary.hae_m = number_at(position, "hae");
  summary.ce90_m = number_at(json_object_get(answer.get(), "accuracy"), "ce90_m");
  summary.flag = text_at(answer.get(), "flag");
  summary.cot_type = text_at(json_object_get(answer.get(), "cot"), "type");
  summary.state = text_at(json_object_get(answer.get(), "delivery"), "state");
  summary.problem = text_at(answer.get(), "detail");
  const auto* errors = json_object_get(answer.get(), "errors");
  for (std::size_t i = 0; i < json_array_size(errors); ++i) {
    const auto* one = json_array_get(errors, i);
    summary.problem.append("; ").append(text_at(one, "field")).append(" ").append(text_at(one, "message"));
  }
  return summary;
}

std::string text_of_answer(std::string_view body, const char* key) {
  return text_at(parse(body).get(), key);
}

}  // namespace detection::app
