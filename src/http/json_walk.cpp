#include "http/json_walk.hpp"

#include <set>

#include "http/json_syntax.hpp"

namespace detection::http {
namespace {

namespace ondemand = simdjson::ondemand;

bool malformed(std::string& why, std::string_view sentence) {
  why = sentence;
  return false;
}

bool sane(std::string_view text, std::string& why) {
  return is_sane_text(text) || malformed(why, "a string holds a NUL or half of a surrogate pair");
}

bool skip_object(ondemand::value value, int depth, std::string& why) {
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return malformed(why, json_sentence(error));
  std::set<std::string_view> seen;
  for (auto result : object) {
    ondemand::field field;
    if (const auto error = std::move(result).get(field)) return malformed(why, json_sentence(error));
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return malformed(why, json_sentence(error));
    if (!sane(key, why)) return false;
    if (!seen.insert(key).second) return malformed(why, "a field is given twice in one object");
    if (!skip_json(field.value(), depth + 1, why)) return false;
  }
  return true;
}

bool skip_array(ondemand::value value, int depth, std::string& why) {
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) return malformed(why, json_sentence(error));
  for (auto element : array) {
    ondemand::value one;
    if (const auto error = element.get(one)) return malformed(why, json_sentence(error));
    if (!skip_json(one, depth + 1, why)) return false;
  }
  return true;
}

}  // namespace

std::string_view json_sentence(simdjson::error_code error) noexcept {
  switch (static_cast<int>(error)) {
    case simdjson::EMPTY: return "the body is empty";
    case simdjson::UTF8_ERROR: return "the text is not valid UTF-8";
    case simdjson::UNESCAPED_CHARS: return "a string holds an unescaped control character";
    case simdjson::UNCLOSED_STRING: return "a string does not end";
    case simdjson::STRING_ERROR: return "a string has a wrong escape";
    case simdjson::NUMBER_ERROR: return "a number is misspelt";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT: return "an object or array does not end";
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR: return "only true, false and null are words of JSON";
    default: return "the text is not JSON";
  }
}

simdjson::padded_string_view padded_json(std::string_view text, std::string& buffer) {
  buffer.clear();
  buffer.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  buffer.append(text).append(simdjson::SIMDJSON_PADDING, ' ');
  return simdjson::padded_string_view(buffer.data(), text.size(), buffer.size());
}

bool skip_json(ondemand::value value, int depth, std::string& why) {
  if (depth > kJsonDepthMost) return malformed(why, "nested too deeply");
  const auto token = value.raw_json_token();
  switch (token.empty() ? '\0' : token.front()) {
    case '{': return skip_object(value, depth, why);
    case '[': return skip_array(value, depth, why);
    case '"': {
      std::string_view text;
      if (const auto error = value.get_string().get(text)) return malformed(why, json_sentence(error));
      return sane(text, why);
    }
    case 't':
    case 'f':
      return value.get_bool().error() == simdjson::SUCCESS || malformed(why, json_sentence(simdjson::T_ATOM_ERROR));
    case 'n': {
      bool null = false;
      return (value.is_null().get(null) == simdjson::SUCCESS && null) ||
             malformed(why, json_sentence(simdjson::N_ATOM_ERROR));
    }
    default: return is_json_number(json_trimmed(token)) || malformed(why, "the text is not JSON");
  }
}

bool skip_json_text(ondemand::parser& parser, std::string_view text, std::string& buffer, std::string& why) {
  // As the one element of an array, because the parser reads a bare scalar in a way of its own.
  std::string wrapped = "[";
  wrapped.append(text).append("]");
  ondemand::document document;
  ondemand::array array;
  auto error = parser.iterate(padded_json(wrapped, buffer)).get(document);
  if (!error) error = document.get_array().get(array);
  if (error) return malformed(why, json_sentence(error));
  std::size_t count = 0;
  for (auto element : array) {
    ondemand::value value;
    if (const auto bad = element.get(value)) return malformed(why, json_sentence(bad));
    if (!skip_json(value, 1, why)) return false;
    ++count;
  }
  return (count == 1 && document.current_location().error() == simdjson::OUT_OF_BOUNDS) ||
         malformed(why, "there is text after the end");
}

}  // namespace detection::http
