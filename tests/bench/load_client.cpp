#include "bench/load_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <deque>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>

namespace detection::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64u << 10;

struct Connection {
  int fd = -1;
  std::string_view unsent;  ///< of the request in flight
  std::string answer;       ///< what has come of its answer
  Clock::time_point due;    ///< when its request was due (closed loop: sent)
  bool busy = false;
  bool waits_to_write = false;
};

struct Answer {
  int status = 0;
  std::size_t head_bytes = 0;
  std::size_t bytes = 0;  ///< the whole
};

/// Nothing: not complete. A status of 0: not HTTP.
std::optional<Answer> parse_answer(std::string_view text) {
  const auto head_end = text.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return std::nullopt;
  Answer answer;
  if (!text.starts_with("HTTP/1.1 ") || head_end < 12) return answer;
  std::from_chars(text.data() + 9, text.data() + 12, answer.status);
  constexpr std::string_view kName = "\r\ncontent-length:";
  const auto head = text.substr(0, head_end + 2);
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; };
  const auto found = std::search(head.begin(), head.end(), kName.begin(), kName.end(), same);
  std::size_t length = 0;
  if (found != head.end()) {
    const char* digits = &*found + kName.size();
    while (*digits == ' ') ++digits;
    std::from_chars(digits, head.data() + head.size(), length);
  }
  answer.head_bytes = head_end + 4;
  answer.bytes = answer.head_bytes + length;
  return text.size() >= answer.bytes ? std::optional(answer) : std::nullopt;
}

/// Leaves them in order.
float quantile(std::span<float> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

class LoadRun {
 public:
  explicit LoadRun(const LoadOptions& options) : options_(options), connections_(options.connections) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    buffer_.resize(kReadBytes);
    latencies_us_.reserve(1u << 20);
    for (auto& one : connections_) open(one);
  }
  ~LoadRun() {
    for (const auto& one : connections_)
      if (one.fd >= 0) ::close(one.fd);
    ::close(epoll_);
  }
  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;

  LoadResult run() {
    begin_ = Clock::now();
    counted_from_ = begin_ + options_.warm_up;
    end_ = counted_from_ + options_.duration;
    const bool open_loop = options_.rate_per_s > 0;
    for (auto& one : connections_) {
      if (open_loop)
        idle_.push_back(&one);
      else
        send_next(one, begin_);
    }
    std::array<epoll_event, 256> ready{};
    while (Clock::now() < end_ && alive_ > 0) {
      const auto wait = open_loop ? send_due() : std::chrono::nanoseconds(100'000'000);
      const timespec most{0, static_cast<long>(wait.count())};
      const int count = ::epoll_pwait2(epoll_, ready.data(), static_cast<int>(ready.size()), &most, nullptr);
      for (int i = 0; i < count; ++i) {
        auto& one = *static_cast<Connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
        if (one.fd < 0) continue;
        if (one.waits_to_write) write(one);
        if (one.fd >= 0) read(one);
      }
    }
    return result();
  }

 private:
  void open(Connection& one) {
    one.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(one.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::generic_category(), "load client: cannot connect");
    const int on = 1;
    ::setsockopt(one.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &one;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event);
    ++alive_;
  }

  void lose(Connection& one) {
    ::close(one.fd);
    one.fd = -1;
    --alive_;
    ++result_.broken;
  }

  /// Sends what is due by the clock; how long until the next one is. It never spins: the server needs the core.
  std::chrono::nanoseconds send_due() {
    constexpr std::chrono::nanoseconds kMost{10'000'000};
    const auto now = Clock::now();
    const auto due = [&](std::uint64_t number) {
      return begin_ + std::chrono::duration_cast<Clock::duration>(
                          std::chrono::duration<double>(static_cast<double>(number) / options_.rate_per_s));
    };
    while (!idle_.empty() && due(number_) <= now) {
      Connection& one = *idle_.front();
      idle_.pop_front();
      if (one.fd < 0) continue;
      send_next(one, due(number_));
      ++number_;
    }
    return idle_.empty() ? kMost : std::clamp<std::chrono::nanoseconds>(due(number_) - now, {}, kMost);
  }

  void send_next(Connection& one, Clock::time_point due) {
    one.unsent = options_.requests[next_++ % options_.requests.size()];
    one.due = due;
    one.busy = true;
    write(one);
  }

  void write(Connection& one) {
    while (!one.unsent.empty()) {
      const auto sent = ::send(one.fd, one.unsent.data(), one.unsent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) {
        if (errno != EAGAIN) return lose(one);
        return watch_writes(one, true);
      }
      one.unsent.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (one.waits_to_write) watch_writes(one, false);
  }

  void watch_writes(Connection& one, bool wanted) {
    if (one.waits_to_write == wanted) return;
    one.waits_to_write = wanted;
    epoll_event event{};
    event.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &one;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, one.fd, &event);
  }

  void read(Connection& one) {
    const auto count = ::recv(one.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 || !one.busy) return lose(one);
    const std::string_view piece(buffer_.data(), static_cast<std::size_t>(count));
    // Nearly every answer comes in one piece: it is not copied then.
    if (!one.answer.empty()) one.answer.append(piece);
    const std::string_view text = one.answer.empty() ? piece : std::string_view(one.answer);
    const auto answer = parse_answer(text);
    if (!answer) {
      if (one.answer.empty()) one.answer = piece;
      return;
    }
    if (answer->status == 0 || text.size() != answer->bytes) return lose(one);
    answered(one, *answer, text.substr(answer->head_bytes));
    one.answer.clear();
    one.busy = false;
    if (options_.rate_per_s > 0)
      idle_.push_back(&one);
    else
      send_next(one, Clock::now());
  }

  void answered(const Connection& one, const Answer& answer, std::string_view body) {
    const auto now = Clock::now();
    if (now < counted_from_) return;
    if (answer.status >= 400) {
      if (result_.errors++ == 0) {
        result_.first_error_status = answer.status;
        result_.first_error_body = body.substr(0, 500);
      }
      return;
    }
    ++result_.answers;
    const auto second = static_cast<std::size_t>((now - counted_from_) / std::chrono::seconds(1));
    if (second_begins_.size() <= second) second_begins_.resize(second + 1, latencies_us_.size());
    latencies_us_.push_back(static_cast<float>(std::chrono::duration<double, std::micro>(now - one.due).count()));
  }

  LoadResult result() {
    result_.seconds = std::chrono::duration<double>(std::min(Clock::now(), end_) - counted_from_).count();
    if (result_.seconds > 0) result_.per_second = static_cast<double>(result_.answers) / result_.seconds;
    std::vector<float> p99_us;
    for (std::size_t i = 0; i + 1 < second_begins_.size(); ++i) {
      const auto begin = second_begins_[i], end = second_begins_[i + 1];
      if (begin < end) p99_us.push_back(quantile(std::span(latencies_us_).subspan(begin, end - begin), 0.99));
    }
    result_.typical_second_p99_ms = quantile(p99_us, 0.5) / 1000;
    result_.p50_ms = quantile(latencies_us_, 0.5) / 1000;
    result_.p99_ms = quantile(latencies_us_, 0.99) / 1000;
    result_.max_ms = quantile(latencies_us_, 1) / 1000;
    return result_;
  }

  const LoadOptions& options_;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;
  int epoll_ = -1;
  std::vector<char> buffer_;
  std::vector<float> latencies_us_;         ///< as they came
  std::vector<std::size_t> second_begins_;  ///< the first of each second
  std::size_t alive_ = 0;
  std::size_t next_ = 0;
  std::uint64_t number_ = 0;
  Clock::time_point begin_, counted_from_, end_;
  LoadResult result_;
};

}  // namespace

std::string http_request(std::string_view method, std::string_view target, std::string_view token,
                         std::string_view body, std::string_view content_type) {
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n");
  if (!token.empty()) text.append("Authorization: Bearer ").append(token).append("\r\n");
  if (!body.empty()) {
    text.append("Content-Type: ").append(content_type).append("\r\nContent-Length: ");
    text.append(std::to_string(body.size())).append("\r\n");
  }
  return text.append("\r\n").append(body);
}

LoadResult run_load(const LoadOptions& options) {
  if (options.requests.empty() || options.connections == 0) throw std::runtime_error("load client: nothing to send");
  return LoadRun(options).run();
}

}  // namespace detection::bench
