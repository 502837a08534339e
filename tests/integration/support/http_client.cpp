#include "integration/support/http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace detection::integration {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<Response> parse_head(std::string_view head) {
  Response response;
  auto line_end = head.find("\r\n");
  const auto status_line = head.substr(0, line_end);
  if (!status_line.starts_with("HTTP/1.1 ") || status_line.size() < 12) return std::nullopt;
  const auto* digits = status_line.data() + 9;
  if (std::from_chars(digits, digits + 3, response.status).ptr != digits + 3) return std::nullopt;
  while (line_end != std::string_view::npos) {
    head.remove_prefix(line_end + 2);
    line_end = head.find("\r\n");
    const auto line = head.substr(0, line_end);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    response.headers.emplace_back(lower(line.substr(0, colon)), trim(line.substr(colon + 1)));
  }
  return response;
}

}  // namespace

std::string_view Response::header(std::string_view lower_case_name) const noexcept {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return {};
}

HttpClient::HttpClient(std::uint16_t port, std::string bearer_token, std::chrono::milliseconds timeout)
    : port_(port), token_(std::move(bearer_token)), timeout_(timeout) {}

HttpClient::~HttpClient() {
  disconnect();
}

void HttpClient::disconnect() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  pending_.clear();
}

bool HttpClient::connect() {
  if (fd_ >= 0) return true;
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return false;
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  timeval limit{};
  limit.tv_sec = timeout_.count() / 1000;
  limit.tv_usec = (timeout_.count() % 1000) * 1000;
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  disconnect();
  return false;
}

bool HttpClient::send_raw(std::string_view bytes) {
  reached_ = false;
  if (!connect()) return false;
  reached_ = true;
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::optional<Response> HttpClient::receive() {
  std::optional<Response> response;
  std::size_t whole = 0;  // bytes of head and body, once the head is here
  while (true) {
    if (!response) {
      if (const auto end = pending_.find("\r\n\r\n"); end != std::string::npos) {
        response = parse_head(std::string_view(pending_).substr(0, end));
        if (!response) return std::nullopt;
        std::size_t length = 0;
        const auto text = response->header("content-length");
        std::from_chars(text.data(), text.data() + text.size(), length);
        whole = end + 4 + length;
      }
    }
    if (response && pending_.size() >= whole) {
      const auto length = whole - (pending_.find("\r\n\r\n") + 4);
      response->body = pending_.substr(whole - length, length);
      pending_.erase(0, whole);
      if (lower(response->header("connection")) == "close") disconnect();
      return response;
    }
    char buffer[65'536];
    const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) return std::nullopt;
    pending_.append(buffer, static_cast<std::size_t>(count));
  }
}

std::optional<Response> HttpClient::request(std::string_view method, std::string_view target, std::string_view body,
                                            std::string_view content_type) {
  std::string text;
  text.reserve(512 + headers_.size() + body.size());
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n");
  if (!token_.empty()) text.append("Authorization: Bearer ").append(token_).append("\r\n");
  if (!body.empty()) text.append("Content-Type: ").append(content_type).append("\r\n");
  if (!body.empty() || method == "POST" || method == "PUT")
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  text.append(headers_).append("\r\n").append(body);
  if (send_raw(text))
    if (auto response = receive()) return response;
  disconnect();
  return std::nullopt;
}

}  // namespace detection::integration
