#include "app/web_client.hpp"

#include <curl/curl.h>

namespace detection::app {
namespace {

std::size_t append(char* data, std::size_t size, std::size_t count, void* body) {
  static_cast<std::string*>(body)->append(data, size * count);
  return size * count;
}

struct ListRelease {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListRelease>;

void add(HeaderList& list, const std::string& header) {
  if (auto* longer = curl_slist_append(list.get(), header.c_str())) {
    (void)list.release();
    list.reset(longer);
  }
}

}  // namespace

struct WebClient::Impl {
  CURL* handle = curl_easy_init();
  std::chrono::milliseconds timeout;

  explicit Impl(std::chrono::milliseconds t) : timeout(t) {}
  ~Impl() { curl_easy_cleanup(handle); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<Answer> perform(const std::string& url, HeaderList headers) {
    Answer answer;
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
    const auto result = curl_easy_perform(handle);
    if (result != CURLE_OK) return fail(ErrorCode::kStoreUnavailable, url + ": " + curl_easy_strerror(result));
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
  }
};

WebClient::WebClient(std::chrono::milliseconds timeout) : impl_(std::make_unique<Impl>(timeout)) {}
WebClient::~WebClient() = default;

Result<WebClient::Answer> WebClient::get(const std::string& url, const std::string& bearer) {
  HeaderList headers;
  if (!bearer.empty()) add(headers, "Authorization: Bearer " + bearer);
  curl_easy_setopt(impl_->handle, CURLOPT_HTTPGET, 1L);
  return impl_->perform(url, std::move(headers));
}

Result<WebClient::Answer> WebClient::post_json(const std::string& url, const std::string& body,
                                               const std::string& bearer) {
  HeaderList headers;
  add(headers, "Content-Type: application/json");
  add(headers, "Expect:");
  if (!bearer.empty()) add(headers, "Authorization: Bearer " + bearer);
  curl_easy_setopt(impl_->handle, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(impl_->handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  return impl_->perform(url, std::move(headers));
}

}  // namespace detection::app
