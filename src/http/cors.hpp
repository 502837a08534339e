#pragma once
// Cross-origin requests from browsers (Fetch standard, "CORS protocol"): exact origins from the configuration, none by
// default. Never credentials (cookies): callers send a bearer token.

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.hpp"

namespace detection::http {

class Cors {
 public:
  explicit Cors(std::vector<std::string> origins) : origins_(std::move(origins)) {}

  /// Adds the lines that every answer to this request has, also a refusal.
  void append_headers(std::string& out, std::string_view origin) const;
  /// OPTIONS by a browser that asks before it sends something else. Any other OPTIONS is 405, as without CORS.
  [[nodiscard]] bool is_preflight(const RequestHead& head) const noexcept;
  /// The further lines of its answer, which is 204.
  static void append_preflight(std::string& out, std::string_view methods);

 private:
  [[nodiscard]] bool allows(std::string_view origin) const noexcept;

  const std::vector<std::string> origins_;
};

}  // namespace detection::http
