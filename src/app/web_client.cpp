#include "app/web_client.hpp"

#include <curl/curl.h>

#include "app/sigv4.hpp"

namespace detection::app {
namespace {

/// An answer on its way in.
struct Reception {
  CURL* handle;
  WebClient::Answer& answer;
  const std::function<void(std::string_view)>& take;
};

std::size_t append(char* data, std::size_t size, std::size_t count, void* reception) {
  constexpr std::size_t kAnswerBytesMost = 16u << 20;
  const auto& to = *static_cast<const Reception*>(reception);
  auto& text = to.answer.body;
  if (to.take) {
    long status = 0;
    curl_easy_getinfo(to.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2) {
      to.take({data, size * count});
      return size * count;
    }
  }
  if (text.size() + size * count > kAnswerBytesMost) return 0;  // libcurl then gives up
  text.append(data, size * count);
  return size * count;
}

std::size_t note_header(char* data, std::size_t size, std::size_t count, void* reception) {
  constexpr std::size_t kHeadersMost = 100;
  constexpr auto kSpace = " \t\r\n";
  std::string_view line(data, size * count);
  auto& headers = static_cast<const Reception*>(reception)->answer.headers;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || headers.size() == kHeadersMost) return size * count;
  std::string name(line.substr(0, colon));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  line.remove_prefix(colon + 1);
  const auto begin = line.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return size * count;
  headers.emplace_back(std::move(name), line.substr(begin, line.find_last_not_of(kSpace) + 1 - begin));
  return size * count;
}

using Prepare = std::function<void(ssl_ctx_st*)>;

CURLcode prepare_context(CURL*, void* context, void* prepare) {
  (*static_cast<const Prepare*>(prepare))(static_cast<ssl_ctx_st*>(context));
  return CURLE_OK;
}

struct ListRelease {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListRelease>;

void add(HeaderList& list, const std::string& header) {
  auto* const before = list.release();
  auto* const longer = curl_slist_append(before, header.c_str());
  list.reset(longer != nullptr ? longer : before);
}

}  // namespace

struct WebClient::Impl {
  CURL* handle = curl_easy_init();
  std::chrono::milliseconds timeout;
  Prepare prepare{};
  CURLcode last = CURLE_OK;

  explicit Impl(std::chrono::milliseconds t) : timeout(t) {}
  ~Impl() { curl_easy_cleanup(handle); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<Answer> perform(const std::string& url, HeaderList headers,
                         const std::function<void(std::string_view)>& take = {}) {
    constexpr long kStillSeconds = 60;
    Answer answer;
    Reception reception{handle, answer, take};
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reception);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, note_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &reception);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStillSeconds);
    const auto result = curl_easy_perform(handle);
    last = result;
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

Result<WebClient::Answer> WebClient::send(const Request& request) {
  HeaderList headers;
  for (const auto& [name, value] : request.headers) add(headers, name + ": " + value);
  if (!request.accept.empty()) add(headers, "Accept: " + request.accept);
  auto* const handle = impl_->handle;
  if (request.body) {
    add(headers, "Content-Type: " + request.content_type);
    add(headers, "Expect:");
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body->data());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body->size()));
  } else if (request.raw_body.empty() && (request.method.empty() || request.method == "GET")) {
    curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
  } else if (request.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else {
    // Nothing that libcurl adds of itself to a POST.
    for (const char* own : {"Content-Type:", "Expect:"}) add(headers, own);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.raw_body.empty() ? "" : request.raw_body.data());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.raw_body.size()));
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  if (!request.username.empty()) {
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(handle, CURLOPT_USERNAME, request.username.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, request.password.c_str());
  }
  auto answer = impl_->perform(request.url, std::move(headers), request.take);
  // They would hold for the next request, too.
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, nullptr);
  curl_easy_setopt(handle, CURLOPT_NOBODY, 0L);
  return answer;
}

void WebClient::trust_only(const std::string& ca_file) {
  curl_easy_setopt(impl_->handle, CURLOPT_CAINFO, ca_file.c_str());
}

void WebClient::check_servers_by(std::function<void(ssl_ctx_st*)> prepare) {
  impl_->prepare = std::move(prepare);
  auto* const handle = impl_->handle;
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);  // the name is among what `prepare` has checked
  curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, prepare_context);
  curl_easy_setopt(handle, CURLOPT_SSL_CTX_DATA, &impl_->prepare);
}

bool WebClient::tls_failed() const {
  return impl_->last == CURLE_PEER_FAILED_VERIFICATION || impl_->last == CURLE_SSL_CONNECT_ERROR;
}

std::string WebClient::escaped(std::string_view text) {
  return percent_encoded(text, false);
}

}  // namespace detection::app
