#pragma once
// The one header that includes simdjson, for the readers of bodies. Its on-demand parser checks only what is read, so
// what a reader does not want is walked through here to its end.

#include <simdjson.h>

#include <string>
#include <string_view>

namespace detection::http {

/// What is wrong with the text, in our words.
[[nodiscard]] std::string_view json_sentence(simdjson::error_code error) noexcept;

/// The parser reads up to SIMDJSON_PADDING bytes behind the text: a copy in `buffer` that has them.
[[nodiscard]] simdjson::padded_string_view padded_json(std::string_view text, std::string& buffer);

// Each is false when the text is not JSON: `why` then says so.

/// Any value at all, to its end; `depth` is that of the value.
[[nodiscard]] bool skip_json(simdjson::ondemand::value value, int depth, std::string& why);
/// A whole text that is no object.
[[nodiscard]] bool skip_json_text(simdjson::ondemand::parser& parser, std::string_view text, std::string& buffer,
                                  std::string& why);

}  // namespace detection::http
