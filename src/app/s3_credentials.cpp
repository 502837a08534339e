#include <jansson.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "app/s3_copy.hpp"
#include "app/web_client.hpp"

namespace detection::app {
namespace {

struct JsonRelease {
  void operator()(json_t* json) const noexcept { json_decref(json); }
};

std::string text_of(const char* value) {
  return value == nullptr ? std::string() : std::string(value);
}

std::string member(const json_t* object, const char* name) {
  const auto* const value = json_object_get(object, name);
  return json_is_string(value) ? std::string(json_string_value(value)) : std::string();
}

Result<std::string> container_token(const Environment& environment) {
  const auto file = text_of(environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
  if (file.empty()) return text_of(environment("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return fail(ErrorCode::kConfiguration, "the token for S3 credentials cannot be read: " + file);
  auto token = text.str();
  token.erase(token.find_last_not_of(" \t\r\n") + 1);
  return token;
}

/// What EKS Pod Identity gives: temporary ones, good for longer than any backup takes.
Result<S3Credentials> from_container(const std::string& url, const Environment& environment) {
  auto token = container_token(environment);
  if (!token) return std::unexpected(std::move(token.error()));
  WebClient client(std::chrono::seconds{10});
  WebClient::Request request;
  request.url = url;
  if (!token->empty()) request.headers.emplace_back("Authorization", *token);
  const auto answer = client.send(request);
  if (!answer)
    return fail(ErrorCode::kStoreUnavailable, "S3 credentials could not be fetched: " + answer.error().detail);
  if (answer->status != 200)
    return fail(ErrorCode::kUnauthorized,
                "S3 credentials could not be fetched: " + url + " answered " + std::to_string(answer->status));
  const std::unique_ptr<json_t, JsonRelease> json(json_loadb(answer->body.data(), answer->body.size(), 0, nullptr));
  S3Credentials out{member(json.get(), "AccessKeyId"), member(json.get(), "SecretAccessKey"),
                    member(json.get(), "Token")};
  if (out.access_key_id.empty() || out.secret_access_key.empty())
    return fail(ErrorCode::kConfiguration, "S3 credentials could not be fetched: " + url + " answered something else");
  return out;
}

}  // namespace

Result<S3Credentials> find_s3_credentials(const Environment& environment) {
  S3Credentials out{text_of(environment("AWS_ACCESS_KEY_ID")), text_of(environment("AWS_SECRET_ACCESS_KEY")),
                    text_of(environment("AWS_SESSION_TOKEN"))};
  if (!out.access_key_id.empty() && !out.secret_access_key.empty()) return out;
  const auto url = text_of(environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
  if (!url.empty()) return from_container(url, environment);
  return fail(
      ErrorCode::kConfiguration,
      "there are no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with EKS Pod Identity");
}

}  // namespace detection::app
