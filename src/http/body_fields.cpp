#include "http/body_fields.hpp"

#include <algorithm>

#include "http/field_collector.hpp"
#include "http/json_syntax.hpp"
#include "http/json_walk.hpp"
#include "http/request_rules.hpp"

namespace detection::http {
namespace {

namespace ondemand = simdjson::ondemand;

/// Reads one JSON object into a FieldCollector. Every function is false when the text is not JSON: `why` then says so.
class BodyReader {
 public:
  BodyReader(std::span<const FieldSpec> table, FieldCollector& to, std::string& why)
      : table_(table), to_(to), why_(why) {}

  bool read(ondemand::document& document) {
    ondemand::object object;
    if (const auto error = document.get_object().get(object)) return malformed(json_sentence(error));
    std::vector<std::string> others;
    for (auto result : object) {
      ondemand::field field;
      if (const auto error = std::move(result).get(field)) return malformed(json_sentence(error));
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return malformed(json_sentence(error));
      std::size_t index = 0;
      const auto found = to_.find(key, index);
      if (found == FieldCollector::Found::kTwice) return malformed("the field " + std::string(key) + " is given twice");
      if (found == FieldCollector::Found::kKnown) {
        if (!value(index, field.value())) return false;
        continue;
      }
      if (!is_sane_text(key)) return malformed("a string holds a NUL or half of a surrogate pair");
      if (std::ranges::find(others, key) != others.end()) return malformed("a field is given twice in one object");
      others.emplace_back(key);
      // A body of very many unknown fields is not worth comparing all of them with each other.
      if (others.size() > FieldErrors::kMost) return malformed("there are too many unknown fields");
      to_.unknown(key);
      if (!skip_json(field.value(), 1, why_)) return false;
    }
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS || malformed("there is text after the end");
  }

 private:
  bool malformed(std::string_view why) {
    why_ = why;
    return false;
  }

  static char kind(ondemand::value& value) {
    const auto token = value.raw_json_token();
    return token.empty() ? '\0' : token.front();
  }

  bool wrong_type(std::size_t index, ondemand::value value, std::string_view message) {
    if (!skip_json(value, 1, why_)) return false;
    to_.wrong(table_[index].name, message);
    return true;
  }

  bool string(ondemand::value value, std::string_view& text) {
    if (const auto error = value.get_string().get(text)) return malformed(json_sentence(error));
    return is_sane_text(text) || malformed("a string holds a NUL or half of a surrogate pair");
  }

  bool value(std::size_t index, ondemand::value value) {
    const char first = kind(value);
    switch (table_[index].type) {
      case FieldType::kText:
      case FieldType::kTime: {
        if (first != '"') return wrong_type(index, value, "must be a string");
        std::string_view text;
        if (!string(value, text)) return false;
        to_.text(index, text);
        return true;
      }
      case FieldType::kBoolean: {
        if (first != 't' && first != 'f') return wrong_type(index, value, "must be true or false");
        bool read = false;
        if (value.get_bool().get(read) != simdjson::SUCCESS) return malformed(json_sentence(simdjson::T_ATOM_ERROR));
        to_.boolean(index, read);
        return true;
      }
      case FieldType::kInteger: {
        double read = 0;
        if (value.get_double().get(read) != simdjson::SUCCESS) return wrong_type(index, value, table_[index].message);
        to_.integer(index, read);
        return true;
      }
      case FieldType::kTextList: return list(index, value);
    }
    return true;
  }

  bool list(std::size_t index, ondemand::value value) {
    if (kind(value) != '[') return wrong_type(index, value, "must be an array of strings");
    ondemand::array array;
    if (const auto error = value.get_array().get(array)) return malformed(json_sentence(error));
    std::vector<std::string> entries;
    bool all_texts = true;
    for (auto element : array) {
      ondemand::value one;
      if (const auto error = element.get(one)) return malformed(json_sentence(error));
      if (kind(one) != '"') {
        all_texts = false;
        if (!skip_json(one, 2, why_)) return false;
        continue;
      }
      std::string_view text;
      if (!string(one, text)) return false;
      entries.emplace_back(text);
    }
    if (all_texts)
      to_.list(index, std::move(entries));
    else
      to_.wrong(table_[index].name, "must be an array of strings");
    return true;
  }

  std::span<const FieldSpec> table_;
  FieldCollector& to_;
  std::string& why_;
};

}  // namespace

Result<FieldValues> read_body(std::string_view json, std::span<const FieldSpec> table) {
  const auto text = json_trimmed(json);
  if (text.empty()) return fail(ErrorCode::kMalformedJson, "the body is empty");
  ondemand::parser parser;
  std::string buffer, why;
  if (text.front() != '{') {
    if (!skip_json_text(parser, text, buffer, why)) return fail(ErrorCode::kMalformedJson, std::move(why));
    return fail(ErrorCode::kValidationFailed, "the body must be a JSON object", {{"", "must be a JSON object"}});
  }
  ondemand::document document;
  if (const auto error = parser.iterate(padded_json(text, buffer)).get(document))
    return fail(ErrorCode::kMalformedJson, std::string(json_sentence(error)));
  FieldCollector to(table);
  BodyReader reader(table, to, why);
  if (!reader.read(document)) return fail(ErrorCode::kMalformedJson, std::move(why));
  return to.finish();
}

}  // namespace detection::http
