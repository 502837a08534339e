#include "app/s3_client.hpp"

#include <algorithm>
#include <thread>

namespace detection::app {
namespace {

constexpr std::chrono::minutes kTimeout{10};
constexpr int kTries = 5;

bool worth_again(const Result<WebClient::Answer>& answer) {
  if (!answer) return true;
  return answer->status >= 500 || answer->status == 429 ||
         (answer->status == 400 && element_text(answer->body, "Code") == "RequestTimeout");
}

Error refused(const S3Client::Call& call, const WebClient::Answer& answer) {
  const auto code = element_text(answer.body, "Code"), words = element_text(answer.body, "Message");
  auto detail = "the S3 server answered " + std::to_string(answer.status) + " to " + call.method + " " + call.key;
  if (!code.empty()) detail += ": " + code;
  if (!words.empty()) detail += " (" + words + ")";
  const bool denied = answer.status == 401 || answer.status == 403;
  return {denied ? ErrorCode::kUnauthorized : ErrorCode::kStoreUnavailable, std::move(detail)};
}

}  // namespace

std::string element_text(std::string_view xml, std::string_view name) {
  const auto open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  const auto begin = xml.find(open);
  const auto end = begin == std::string_view::npos ? begin : xml.find(close, begin);
  if (end == std::string_view::npos) return {};
  constexpr std::size_t kMost = 1'024;
  std::string text(xml.substr(begin + open.size(), std::min(end - begin - open.size(), kMost)));
  for (const auto& [entity, mark] : {std::pair("&quot;", "\""), std::pair("&amp;", "&")})
    for (auto at = text.find(entity); at != std::string::npos; at = text.find(entity, at + 1))
      text.replace(at, std::string_view(entity).size(), mark);
  return text;
}

S3Client::S3Client(S3Target target, S3Credentials credentials)
    : target_(std::move(target)), credentials_(std::move(credentials)), client_(kTimeout) {
  // A name with dots has no certificate of Amazon's; other servers know the bucket by the path.
  const bool by_name = target_.endpoint.empty() && !target_.bucket.contains('.');
  base_ = target_.endpoint.empty() ? "https://" + (by_name ? target_.bucket + "." : std::string()) + "s3." +
                                         target_.region + ".amazonaws.com"
                                   : target_.endpoint;
  while (base_.ends_with('/')) base_.pop_back();
  if (!by_name) path_head_ = "/" + target_.bucket;
  if (!target_.ca_file.empty()) client_.trust_only(target_.ca_file);
}

std::string S3Client::host() const {
  return base_.substr(base_.find("://") + 3);
}

Result<WebClient::Answer> S3Client::once(const Call& call) {
  const S3Request request{.method = call.method,
                          .host = host(),
                          .path = path_head_ + "/" + percent_encoded(call.key, true),
                          .query = call.query,
                          .headers = call.headers,
                          .payload_sha256 = sha256_hex(call.body)};
  WebClient::Request sent;
  sent.url = base_ + request.path;
  if (!call.query.empty()) sent.url += "?" + query_text(call.query);
  sent.method = call.method;
  sent.headers = signed_headers(request, credentials_, target_.region, system_now());
  sent.raw_body = call.body;
  sent.take = call.take;
  return client_.send(sent);
}

Result<WebClient::Answer> S3Client::call(const Call& call) {
  auto wait = target_.first_wait;
  for (int tries = 1;; ++tries) {
    if (call.begin) call.begin();
    auto answer = once(call);
    if (answer && answer->status / 100 == 2) return answer;
    if (tries == kTries || !worth_again(answer)) {
      if (!answer) return fail(ErrorCode::kStoreUnavailable, "the S3 server was not reached: " + answer.error().detail);
      return std::unexpected(refused(call, *answer));
    }
    std::this_thread::sleep_for(wait);
    wait *= 2;
  }
}

}  // namespace detection::app
