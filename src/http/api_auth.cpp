// The token endpoint (RFC 6749 section 4.4), revocation by jti, the public keys.

#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/body_fields.hpp"
#include "http/client_credentials.hpp"
#include "http/detection_json.hpp"
#include "http/etag.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kNotKept = "Cache-Control: no-store\r\nPragma: no-cache\r\n";
constexpr std::string_view kBasicChallenge = "WWW-Authenticate: Basic realm=\"detection-api\", charset=\"UTF-8\"\r\n";

std::string token_json(const security::IssuedToken& token) {
  std::string body;
  json::Writer w(body);
  w.begin_object();
  w.key("access_token");
  w.string(token.access_token);
  w.key("token_type");
  w.string("Bearer");
  w.key("expires_in");
  w.integer(token.life.count());
  w.key("scope");
  w.string(token.scope);
  w.end_object();
  return body;
}

/// Of any kind: a problem document that is an error of OAuth too.
struct Refused {
  unsigned status;
  std::string headers, body;
};

Refused refused(const GrantError& error, std::string_view instance) {
  Refused answer{http_status(error.error.code), std::string(kNotKept), {}};
  if (answer.status == 401) answer.headers.append(kBasicChallenge);
  append_problem(answer.body, error.error, instance, grant_error_members(error));
  return answer;
}

}  // namespace

void Api::count_grant(const ClientAddress& client, const GrantError* error) {
  if (error == nullptr) return state_.metrics.authentication(Authentication::kSuccess);
  if (error->error.code != ErrorCode::kUnauthorized) return;
  state_.metrics.authentication(Authentication::kInvalidClient);
  state_.auth_watch.failed(client, AuthFailure::kClient);
}

void Api::post_token(Exchange& x) {
  const auto client = client_of(x);
  auto request = read_grant(x.head.authorization, x.body, x.notes.other_form);
  if (!request) {
    count_grant(client, &request.error());
    const auto answer = refused(request.error(), x.head.path);
    return x.answer({.status = answer.status,
                     .content_type = "application/problem+json",
                     .headers = answer.headers,
                     .body = answer.body});
  }
  read(x, state_.workers, [this, client, request = std::move(*request), instance = x.head.path]() -> Result<Rendered> {
    auto token = state_.rooms.authority.grant(request.client_id, request.client_secret, request.scope, system_now());
    if (token) {
      count_grant(client, nullptr);
      return Rendered{.body = token_json(*token), .headers = std::string(kNotKept)};
    }
    const auto error = grant_error(std::move(token.error()));
    if (http_status(error.error.code) >= 500) return std::unexpected(error.error);
    count_grant(client, &error);
    auto answer = refused(error, instance);
    return Rendered{"application/problem+json", std::move(answer.body), answer.status, std::move(answer.headers)};
  });
}

void Api::post_revoke(Exchange& x) {
  auto fields = read_body(x.body, revoke_fields());
  if (!fields) return refuse(x, std::move(fields.error()));
  read(x, state_.workers,
       [this, jti = std::move(*fields->texts[kRevokeJti]), until = fields->times[kRevokeUntil],
        actor = x.notes.principal->subject]() -> Result<Rendered> {
         const auto revoked = state_.rooms.authority.revoke_token(jti, actor, system_now(), until);
         if (!revoked) return std::unexpected(revoked.error());
         Rendered rendered;
         json::Writer w(rendered.body);
         w.begin_object();
         w.key("jti");
         w.string(jti);
         w.key("revoked");
         w.boolean(true);
         w.key("until");
         w.string(format_rfc3339_us(*revoked));
         w.end_object();
         return rendered;
       });
}

void Api::get_jwks(Exchange& x) {
  const auto keys = state_.rooms.authority.jwks();
  answer_tagged(x, "application/json", *keys, etag_of(*keys), "Cache-Control: public, max-age=300\r\n");
}

}  // namespace detection::http
