#pragma once
// The rules of single fields (design.md 4.2), told apart from how JSON is read. Private to http/.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detection/detection.hpp"
#include "detection/error.hpp"

namespace detection::http {

/// Collects every broken rule of one request.
class Complaints {
 public:
  void add(std::string field, std::string message) { fields_.push_back({std::move(field), std::move(message)}); }
  [[nodiscard]] bool none() const noexcept { return fields_.empty(); }
  [[nodiscard]] std::vector<FieldError> take() { return std::move(fields_); }

 private:
  std::vector<FieldError> fields_;
};

/// 1 to `most` characters of letters, digits and `others`; says what is wrong, or nothing.
[[nodiscard]] std::optional<std::string> check_name(std::string_view text, std::size_t most, std::string_view others);

/// Standard base64 (RFC 4648 section 4) with its padding and nothing else; the SHA-256 of what it stands for.
/// The message says what is wrong. `bytes_most` bounds the decoded size.
[[nodiscard]] std::expected<Sha256, std::string> hash_of_base64(std::string_view text, std::size_t bytes_most);

/// A finite number as it is told to a person.
[[nodiscard]] std::string number_text(double value);

}  // namespace detection::http
