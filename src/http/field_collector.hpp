#pragma once
// What one request states, checked against its table field by field; the readers of bodies, forms and queries fill it.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/body_fields.hpp"
#include "http/request_rules.hpp"

namespace detection::http {

class FieldCollector {
 public:
  explicit FieldCollector(std::span<const FieldSpec> table);

  enum class Found : std::uint8_t { kKnown, kUnknown, kTwice };
  /// Marks the field as seen and says which it is.
  [[nodiscard]] Found find(std::string_view name, std::size_t& index);

  // One value each; what breaks the field's rule is noted instead of kept.
  void text(std::size_t index, std::string_view text);
  void integer(std::size_t index, double value);
  void boolean(std::size_t index, bool value) { values_.booleans[index] = value; }
  void list(std::size_t index, std::vector<std::string> entries);
  /// From text alone, as in a form or a query. Lists come in JSON only.
  void from_text(std::size_t index, std::string_view value);

  void unknown(std::string_view name);
  void wrong(std::string_view name, std::string_view message) { errors_.add({}, name, message); }

  /// Once, last: what was stated, or every broken rule.
  [[nodiscard]] Result<FieldValues> finish();

 private:
  std::span<const FieldSpec> table_;
  FieldValues values_;
  std::vector<bool> seen_;
  FieldErrors errors_;
};

}  // namespace detection::http
