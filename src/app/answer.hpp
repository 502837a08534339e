#pragma once
// What a command shows of the service's answers, and the part of a request that it writes.

#include <optional>
#include <string>
#include <string_view>

namespace detection::app {

struct AnswerSummary {
  double lat_deg = 0;
  double lon_deg = 0;
  std::optional<double> hae_m{};
  std::optional<double> ce90_m{};
  std::string flag;
  std::string cot_type;
  std::string state;
  std::string problem;  ///< `detail` of a problem document, with its fields
};

/// Of a POST answer or a problem document; what is not there stays empty.
[[nodiscard]] AnswerSummary read_answer(std::string_view body);
/// A text of the outermost object; empty where there is none of that name.
[[nodiscard]] std::string text_of_answer(std::string_view body, const char* key);

}  // namespace detection::app
