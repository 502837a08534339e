#include "integration/support/sse_reader.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace detection::integration {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

SseReader::SseReader(std::uint16_t port, std::string_view token, std::string_view last_event_id)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  std::string request("GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n");
  request.append("Authorization: Bearer ").append(token).append("\r\n");
  if (!last_event_id.empty()) request.append("Last-Event-ID: ").append(last_event_id).append("\r\n");
  request.append("\r\n");
  if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return;
  while (raw_.find("\r\n\r\n") == std::string::npos)
    if (!receive(milliseconds(10'000))) return;
  status_ = std::atoi(raw_.c_str() + 9);
  raw_.erase(0, raw_.find("\r\n\r\n") + 4);
  take_chunks();
}

SseReader::~SseReader() {
  if (fd_ >= 0) ::close(fd_);
}

bool SseReader::receive(milliseconds most) {
  pollfd ready{fd_, POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(most.count())) <= 0) return false;
  char buffer[65'536];
  const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
  if (count <= 0) {
    ended_ = true;
    return false;
  }
  raw_.append(buffer, static_cast<std::size_t>(count));
  return true;
}

void SseReader::take_chunks() {
  while (true) {
    const auto line = raw_.find("\r\n");
    if (line == std::string::npos) return;
    const auto size = std::strtoul(raw_.c_str(), nullptr, 16);
    if (raw_.size() < line + 2 + size + 2) return;
    if (size == 0) ended_ = true;
    text_.append(raw_, line + 2, size);
    raw_.erase(0, line + 2 + size + 2);
  }
}

std::optional<SseEvent> SseReader::next(milliseconds most) {
  const auto end = steady_clock::now() + most;
  while (true) {
    const auto blank = text_.find("\n\n");
    if (blank != std::string::npos) {
      SseEvent event;
      std::size_t at = 0;
      while (at < blank) {
        const auto stop = text_.find('\n', at);
        const auto line = std::string_view(text_).substr(at, stop - at);
        at = stop + 1;
        if (line.starts_with(":")) ++comments_;
        if (line.starts_with("id: ")) event.id = line.substr(4);
        if (line.starts_with("event: ")) event.event = line.substr(7);
        if (line.starts_with("data: ")) event.data += line.substr(6);
      }
      text_.erase(0, blank + 2);
      if (!event.data.empty()) return event;
      continue;
    }
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
    if (left.count() <= 0 || ended_ || !receive(left)) return std::nullopt;
    take_chunks();
  }
}

}  // namespace detection::integration
