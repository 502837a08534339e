#include "http/client_credentials.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "detection/json_writer.hpp"
#include "http/base64.hpp"
#include "http/body_fields.hpp"
#include "http/media.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kInvalidRequest = "invalid_request", kInvalidClient = "invalid_client",
                           kInvalidScope = "invalid_scope", kUnsupportedGrant = "unsupported_grant_type";

std::unexpected<GrantError> refused(std::string_view name, ErrorCode code, std::string detail) {
  return std::unexpected(GrantError{name, {code, std::move(detail)}});
}

std::unexpected<GrantError> bad_client(std::string detail) {
  return refused(kInvalidClient, ErrorCode::kUnauthorized, std::move(detail));
}

/// Of application/x-www-form-urlencoded, as section 2.3.1 wants both halves of Basic to be.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto* digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

struct Client {
  std::string id, secret;
};

std::expected<Client, GrantError> read_basic(std::string_view authorization) {
  static constexpr std::string_view kBasic = "Basic ";
  if (authorization.size() < kBasic.size() || !equal_ignoring_case(authorization.substr(0, kBasic.size()), kBasic))
    return bad_client("Authorization must be Basic here, with the id and the secret of an API key");
  const auto pair = decode_base64(authorization.substr(kBasic.size()));
  const auto colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return bad_client("Basic must be followed by base64 of an id, a colon and a secret");
  auto id = decoded(std::string_view(*pair).substr(0, colon));
  auto secret = decoded(std::string_view(*pair).substr(colon + 1));
  if (!id || !secret) return bad_client("the id and the secret must be percent-encoded");
  return Client{std::move(*id), std::move(*secret)};
}

/// The rules of the table in OAuth's words; always 400 here, never 422.
GrantError bad_fields(Error error) {
  const auto wrong = [&](std::string_view name) {
    return std::ranges::any_of(error.fields, [&](const FieldError& field) {
      return field.field == name && field.message != "is required" && field.message != "is given twice";
    });
  };
  const auto name = wrong("grant_type") ? kUnsupportedGrant : wrong("scope") ? kInvalidScope : kInvalidRequest;
  if (error.code == ErrorCode::kValidationFailed) error.code = ErrorCode::kMalformedRequest;
  return {name, std::move(error)};
}

}  // namespace

std::expected<GrantRequest, GrantError> read_grant(std::string_view authorization, std::string_view body, bool form) {
  auto fields = form ? read_form(body, token_fields()) : read_body(body, token_fields());
  if (!fields) return std::unexpected(bad_fields(std::move(fields.error())));
  auto& id = fields->texts[kTokenClientId];
  auto& secret = fields->texts[kTokenClientSecret];
  GrantRequest request;
  request.scope = fields->texts[kTokenScope].value_or("");
  if (authorization.empty()) {
    if (!id || !secret) return bad_client("the client is missing: HTTP Basic, or client_id and client_secret");
    request.client_id = std::move(*id);
    request.client_secret = std::move(*secret);
    return request;
  }
  auto client = read_basic(authorization);
  if (!client) return std::unexpected(std::move(client.error()));
  // Many clients state their id in the body too.
  if (secret || (id && *id != client->id))
    return refused(kInvalidRequest, ErrorCode::kMalformedRequest, "the client is given by HTTP Basic and in the body");
  request.client_id = std::move(client->id);
  request.client_secret = std::move(client->secret);
  return request;
}

GrantError grant_error(Error error) {
  if (error.code == ErrorCode::kUnauthorized) return {kInvalidClient, std::move(error)};
  if (error.code == ErrorCode::kValidationFailed) {
    error.code = ErrorCode::kMalformedRequest;
    return {kInvalidScope, std::move(error)};
  }
  return {"server_error", std::move(error)};
}

std::string grant_error_members(const GrantError& error) {
  std::string members = "\"error\":";
  json::append_string(members, error.name);
  members.append(",\"error_description\":");
  json::append_string(members, error.error.detail);
  return members;
}

}  // namespace detection::http
