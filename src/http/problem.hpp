#pragma once
// What each error code means, in the words that a problem document and /problems/<code> show.

#include <span>
#include <string>
#include <string_view>

#include "detection/error.hpp"

namespace detection::http {

inline constexpr std::string_view kProblemPath = "/problems/";

struct ProblemText {
  std::string_view title;
  std::string_view explanation;  ///< what the caller can do
};
[[nodiscard]] ProblemText problem_text(ErrorCode code) noexcept;
/// All of them.
[[nodiscard]] std::span<const ErrorCode> error_codes() noexcept;
/// None for a word that is no code.
[[nodiscard]] const ErrorCode* find_error_code(std::string_view name) noexcept;

/// The page of one code.
void append_problem_page_json(std::string& out, ErrorCode code);
void append_problem_page_html(std::string& out, ErrorCode code);

/// "Not Found" and so on; empty for a status that the service never gives.
[[nodiscard]] std::string_view status_reason(unsigned status) noexcept;

}  // namespace detection::http
