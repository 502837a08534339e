#include "tak/probe_stream.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>
#include <system_error>
#include <thread>

namespace detection::tak {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::unexpected<Error> wrong(std::string why) {
  return fail(ErrorCode::kConfiguration, std::move(why));
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

std::string hint_of(int error) {
  if (error == ECONNREFUSED) return ": nothing listens on that port, or a firewall refuses it";
  if (error == ENETUNREACH || error == EHOSTUNREACH) return ": there is no way to that network";
  return "";
}

Result<std::vector<std::string>> ask(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0)
    return wrong("'" + host + "' cannot be resolved: " + ::gai_strerror(code));
  std::vector<std::string> out;
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0)
      out.emplace_back(text.data());
  }
  ::freeaddrinfo(found);
  if (out.empty()) return wrong("'" + host + "' has no address");
  return out;
}

}  // namespace

Result<std::vector<std::string>> resolve(const std::string& host, ProbeDeadline deadline) {
  // getaddrinfo cannot be cancelled; the thread may outlive the wait.
  auto answer = std::make_shared<std::promise<Result<std::vector<std::string>>>>();
  auto waiting = answer->get_future();
  std::thread([answer, host] { answer->set_value(ask(host)); }).detach();
  if (waiting.wait_until(deadline) != std::future_status::ready)
    return wrong("'" + host + "' cannot be resolved: no name server answers");
  return waiting.get();
}

Result<std::unique_ptr<ProbeStream>> ProbeStream::connect(const std::string& address, std::uint16_t port,
                                                          ProbeDeadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    return wrong(address + " is no address");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  const int descriptor = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return wrong(reason_of(errno));
  std::unique_ptr<ProbeStream> stream(new ProbeStream(descriptor));
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int error = ::connect(descriptor, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    if (!stream->wait(POLLOUT, deadline))
      return wrong(
          "no answer: the machine is off, the address is wrong, or a firewall drops what is sent to that port");
    socklen_t size = sizeof error;
    ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) return wrong(reason_of(error) + hint_of(error));
  return stream;
}

ProbeStream::~ProbeStream() {
  SSL_free(ssl_);
  ::close(descriptor_);
}

bool ProbeStream::wait(short events, ProbeDeadline deadline) const {
  while (true) {
    const auto left = duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    pollfd one{descriptor_, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::clamp<std::int64_t>(left + 1, 0, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (steady_clock::now() >= deadline) return false;
  }
}

/// True when the call is to be made again; `failed` tells a failure from a deadline.
bool ProbeStream::wait_for_tls(int result, ProbeDeadline deadline, bool& failed) const {
  const int why = SSL_get_error(ssl_, result);
  failed = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
  return !failed && wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline);
}

Result<void> ProbeStream::start_tls(const TlsContext& context, ProbeDeadline deadline) {
  ssl_ = SSL_new(context.native().get());
  if (ssl_ == nullptr || SSL_set_fd(ssl_, descriptor_) != 1) return wrong("TLS cannot be set up");
  if (auto done = context.configure(ssl_); !done) return done;
  while (true) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_);
    if (result == 1) return {};
    bool failed = false;
    if (wait_for_tls(result, deadline, failed)) continue;
    if (!failed)
      return wrong(
          "the server does not answer the TLS handshake: it may be a port for plain text (use tcp:// with it), "
          "or a server that hangs");
    auto words = TlsContext::explain(ssl_, ERR_peek_error());
    ERR_clear_error();
    return wrong(std::move(words));
  }
}

Result<void> ProbeStream::write(std::string_view bytes, ProbeDeadline deadline) {
  while (!bytes.empty()) {
    ERR_clear_error();
    bool failed = false;
    bool again = false;
    long count = 0;
    if (ssl_ != nullptr) {
      count = SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
      if (count <= 0) again = wait_for_tls(static_cast<int>(count), deadline, failed);
    } else {
      count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      failed = count < 0 && errno != EAGAIN && errno != EINTR;
      if (count < 0 && !failed) again = wait(POLLOUT, deadline);
    }
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    // A write that failed says less than the read that follows: the peer's reason may have come already.
    else if (failed)
      return {};
    else if (!again)
      return wrong("the server takes no bytes");
  }
  return {};
}

ProbeStream::ReadResult ProbeStream::read(ProbeDeadline deadline) {
  std::string bytes(16'384, '\0');
  while (true) {
    ERR_clear_error();
    if (ssl_ != nullptr) {
      const int count = SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()));
      if (count > 0) return {ReadState::kBytes, bytes.substr(0, static_cast<std::size_t>(count))};
      bool failed = false;
      if (wait_for_tls(count, deadline, failed)) continue;
      if (!failed) return {ReadState::kTimeout, {}};
      auto words = TlsContext::explain(ssl_, ERR_peek_error());
      ERR_clear_error();
      return {ReadState::kEnded, std::move(words)};
    }
    const auto count = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (count > 0) return {ReadState::kBytes, bytes.substr(0, static_cast<std::size_t>(count))};
    if (count == 0) return {ReadState::kEnded, "the server closed the connection"};
    if (errno != EAGAIN && errno != EINTR) return {ReadState::kEnded, "the connection broke: " + reason_of(errno)};
    if (!wait(POLLIN, deadline)) return {ReadState::kTimeout, {}};
  }
}

}  // namespace detection::tak
