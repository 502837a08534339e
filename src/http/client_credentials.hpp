#pragma once
// The request of the token endpoint and its errors: RFC 6749 sections 2.3.1, 4.4 and 5.2.

#include <expected>
#include <string>
#include <string_view>

#include "detection/error.hpp"

namespace detection::http {

struct GrantRequest {
  std::string client_id, client_secret;
  std::string scope;  ///< empty: all that the client has
};

/// As a problem (400 or 401) and by its OAuth name, "invalid_client".
struct GrantError {
  std::string_view name;
  Error error;
};

/// The client by HTTP Basic or in the body, not by both. `form`: the body is a form, else JSON.
[[nodiscard]] std::expected<GrantRequest, GrantError> read_grant(std::string_view authorization, std::string_view body,
                                                                 bool form);
/// What Authority::grant said, for the client.
[[nodiscard]] GrantError grant_error(Error error);

/// The members that make a problem document an OAuth error too, as JSON text.
[[nodiscard]] std::string grant_error_members(const GrantError& error);

}  // namespace detection::http
