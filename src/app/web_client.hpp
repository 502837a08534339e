#pragma once
// A blocking HTTP client for the commands (libcurl), one connection kept alive. Not thread-safe.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detection/error.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace detection::app {

class WebClient {
 public:
  struct Answer {
    long status = 0;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};  ///< names in lower case
  };

  struct Request {
    std::string url;
    std::string username, password;     ///< basic authentication, where the username is not empty
    std::string accept;                 ///< empty: anything
    std::string content_type;           ///< of the body
    std::optional<std::string> body{};  ///< with one: POST
    // In place of those above, for servers that want every header their way:
    std::string method{};                                        ///< empty: GET, or POST
    std::vector<std::pair<std::string, std::string>> headers{};  ///< beside or in place of libcurl's own
    std::string_view raw_body{};                                 ///< borrowed
    std::function<void(std::string_view)> take{};                ///< gets the body of an answer of 2xx
  };

  /// Answers of more than 16 MiB are failures, but for what a request takes piece by piece. One that stands still for a
  /// minute is too.
  explicit WebClient(std::chrono::milliseconds timeout);
  ~WebClient();

  [[nodiscard]] Result<Answer> get(const std::string& url, const std::string& bearer = {});
  [[nodiscard]] Result<Answer> send(const Request& request);
  /// Has `prepare` set all checks of servers on each new TLS context, in place of libcurl's check of the name.
  void check_servers_by(std::function<void(ssl_ctx_st*)> prepare);
  /// Authorities in place of the system's.
  void trust_only(const std::string& ca_file);
  /// Whether the last failure was one of TLS.
  [[nodiscard]] bool tls_failed() const;
  /// As part of a query.
  [[nodiscard]] static std::string escaped(std::string_view text);
  [[nodiscard]] Result<Answer> post_json(const std::string& url, const std::string& body, const std::string& bearer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::app
