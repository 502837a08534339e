#pragma once
// A blocking HTTP/1.1 client over loopback: one kept-alive connection, answers with a Content-Length. It never retries
// by itself, because the tests must know whether a request was answered.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace detection::integration {

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
  [[nodiscard]] std::string_view header(std::string_view lower_case_name) const noexcept;
};

class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port, std::string bearer_token = {},
                      std::chrono::milliseconds timeout = std::chrono::seconds(20));
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Nothing when there was no whole answer: see reached(). The next call makes a new connection.
  [[nodiscard]] std::optional<Response> request(std::string_view method, std::string_view target,
                                                std::string_view body = {},
                                                std::string_view content_type = "application/json");
  [[nodiscard]] std::optional<Response> get(std::string_view target) { return request("GET", target); }
  [[nodiscard]] std::optional<Response> post(std::string_view target, std::string_view body) {
    return request("POST", target, body);
  }

  /// Further header lines for every request from now on, each ended by CRLF.
  void set_headers(std::string lines) { headers_ = std::move(lines); }
  void set_token(std::string bearer_token) { token_ = std::move(bearer_token); }

  /// Whether any byte of the last request may have left (false: the connection was refused, the server saw nothing).
  [[nodiscard]] bool reached() const noexcept { return reached_; }
  /// Sends only these bytes, for requests that are cut short. False when that failed.
  [[nodiscard]] bool send_raw(std::string_view bytes);
  /// The next answer of the connection.
  [[nodiscard]] std::optional<Response> receive();
  void disconnect();

 private:
  [[nodiscard]] bool connect();

  std::uint16_t port_;
  std::string token_, headers_;
  std::chrono::milliseconds timeout_;
  int fd_ = -1;
  bool reached_ = false;
  std::string pending_;  ///< bytes of the next answer
};

}  // namespace detection::integration
