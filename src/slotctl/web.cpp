#include "slotctl/web.hpp"

#include <curl/curl.h>

namespace detection::slotctl {
namespace {

constexpr std::size_t kAnswerBytesMost = 64u << 20;

std::size_t append(char* data, std::size_t size, std::size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  if (text.size() + size * count > kAnswerBytesMost) return 0;  // libcurl then gives up
  text.append(data, size * count);
  return size * count;
}

}  // namespace

struct Web::Impl {
  CURL* handle = curl_easy_init();
  std::string base;
  std::filesystem::path socket;
  std::chrono::milliseconds most;

  Impl(std::string where, std::filesystem::path through, std::chrono::milliseconds time)
      : base(std::move(where)), socket(std::move(through)), most(time) {}
  ~Impl() { curl_easy_cleanup(handle); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<Answer> perform(const std::string& path, const char* method, const std::string* body, const char* type) {
    Answer answer;
    curl_easy_reset(handle);
    const auto url = base + path;
    curl_slist* headers = curl_slist_append(nullptr, "Expect:");
    if (type != nullptr) headers = curl_slist_append(headers, type);
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(most.count()));
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
    if (!socket.empty()) curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    if (body != nullptr) {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body->data());
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(body->size()));
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
    const auto result = curl_easy_perform(handle);
    curl_slist_free_all(headers);
    if (result != CURLE_OK) return fail(ErrorCode::kStoreUnavailable, url + ": " + curl_easy_strerror(result));
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
  }
};

Web::Web(std::string base, std::filesystem::path socket, std::chrono::milliseconds most)
    : impl_(std::make_unique<Impl>(std::move(base), std::move(socket), most)) {}
Web::~Web() = default;

Result<Web::Answer> Web::get(const std::string& path) {
  return impl_->perform(path, "GET", nullptr, nullptr);
}

Result<Web::Answer> Web::merge_patch(const std::string& path, const std::string& body) {
  return impl_->perform(path, "PATCH", &body, "Content-Type: application/merge-patch+json");
}

Result<Web::Answer> Web::post_form(const std::string& path, const std::string& body) {
  return impl_->perform(path, "POST", &body, "Content-Type: application/x-www-form-urlencoded");
}

std::string Web::escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

}  // namespace detection::slotctl
