#pragma once
// A client for tests that can misbehave: bytes in, bytes out, half-close, reset.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace detection::http {

struct TestAnswer {
  int status = 0;
  std::string head;  ///< lines as they came
  std::string body;

  /// Value of a header field, by its exact name; empty when it is not there.
  [[nodiscard]] std::string header(std::string_view name) const {
    const auto at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return {};
    const auto begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~TestClient() {
    if (fd_ >= 0) ::close(fd_);
  }
  TestClient(TestClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), pending_(std::move(other.pending_)) {}
  TestClient& operator=(TestClient&&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void half_close() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(std::exchange(fd_, -1));
  }

  /// The next answer; `to_head`: one without a body, whatever its Content-Length says. None at the end or after 10 s.
  std::optional<TestAnswer> receive(bool to_head = false) {
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return std::nullopt;
    TestAnswer answer;
    answer.head = pending_.substr(0, end + 2);
    if (answer.head.size() > 12) answer.status = std::atoi(answer.head.c_str() + 9);
    pending_.erase(0, end + 4);
    const auto length_text = answer.header("Content-Length");
    const auto length = to_head || length_text.empty() ? 0 : std::strtoul(length_text.c_str(), nullptr, 10);
    while (pending_.size() < length)
      if (!more()) return std::nullopt;
    answer.body = pending_.substr(0, length);
    pending_.erase(0, length);
    return answer;
  }

  std::optional<TestAnswer> ask(std::string_view request, bool to_head = false) {
    if (!send(request)) return std::nullopt;
    return receive(to_head);
  }

  /// What comes, up to and with `last`; none when the connection ends before, or after 10 s without a byte.
  std::optional<std::string> receive_until(std::string_view last) {
    std::size_t at = 0, searched = 0;
    while ((at = pending_.find(last, searched)) == std::string::npos) {
      searched = pending_.size() - std::min(pending_.size(), last.size());
      if (!more()) return std::nullopt;
    }
    auto text = pending_.substr(0, at + last.size());
    pending_.erase(0, at + last.size());
    return text;
  }
  /// All that comes until the connection ends in good order; none when it does not.
  std::optional<std::string> receive_rest() {
    while (more()) {
    }
    if (!ended_) return std::nullopt;
    return std::exchange(pending_, {});
  }

  /// True when the server closed in good order, with nothing behind what was received.
  bool closed() {
    while (pending_.empty())
      if (!more()) return ended_;
    return false;
  }
  /// True when the server cut the connection, after whatever it had sent.
  bool cut() {
    while (more()) {
    }
    return !ended_ && reset_;
  }
  [[nodiscard]] int descriptor() const { return fd_; }
  /// True when nothing comes for so long.
  bool quiet(std::chrono::milliseconds time) {
    pollfd ready{fd_, POLLIN, 0};
    return pending_.empty() && ::poll(&ready, 1, static_cast<int>(time.count())) == 0;
  }

 private:
  bool more() {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) <= 0) return false;
    char buffer[65'536];
    const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
    if (count == 0) ended_ = true;
    if (count < 0 && errno == ECONNRESET) reset_ = true;
    if (count <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  bool reset_ = false;
  std::string pending_;
};

}  // namespace detection::http
