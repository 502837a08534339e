#include "tak/stream_opener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "tak/tls_context.hpp"

namespace detection::tak {
namespace {

constexpr int kKeepIdle_s = 15, kKeepInterval_s = 5, kKeepCount = 3;

void set_option(int descriptor, int level, int name, int value) {
  // A refused option costs only speed of noticing a dead peer; the pings notice it too.
  (void)::setsockopt(descriptor, level, name, &value, sizeof value);
}

/// A dead peer is noticed by the kernel too, later than by our own check, which can tell the reason.
void watch_peer(int descriptor, std::chrono::milliseconds write_timeout) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdle_s);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kKeepInterval_s);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, kKeepCount);
  set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT,
             static_cast<int>(std::clamp<std::int64_t>(3 * write_timeout.count(), 1, INT32_MAX)));
}

}  // namespace

StreamOpener::StreamOpener(const std::shared_ptr<asio::io_context>& context, const SinkOptions& options)
    : context_(context), options_(options), dialer_(std::make_shared<Dialer>(context)), timer_(*context) {}

void StreamOpener::open(Done done) {
  done_ = std::move(done);
  if (auto ready = prepare(); !ready) {
    asio::post(timer_.get_executor(), [self = shared_from_this(), why = ready.error().detail] {
      if (self->done_) self->finish(nullptr, why);
    });
    return;
  }
  dialer_->dial(options_.address.host, options_.address.port, options_.connect_timeout,
                [self = shared_from_this()](std::optional<Socket> socket, const std::string& why_not) {
                  if (!socket) return self->finish(nullptr, why_not);
                  self->dialled(std::move(*socket));
                });
}

void StreamOpener::cancel() {
  done_ = nullptr;
  timer_.cancel();
  dialer_->cancel();
  if (stream_) stream_->close();
}

/// Read anew for each connection, so that a renewed certificate is the next one used.
Result<void> StreamOpener::prepare() {
  if (!options_.tls.credentials.empty()) {
    watch_.emplace(options_.tls.credentials);
    auto loaded = load_credentials(options_.tls.credentials, system_now());
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    credentials_ = std::move(*loaded);
  }
  if (options_.address.scheme != Scheme::kTls) return {};
  auto context = TlsContext::make(options_.tls, options_.address.host, credentials_);
  if (!context) return std::unexpected(std::move(context.error()));
  tls_ = std::move(*context);
  return {};
}

bool StreamOpener::newer_credentials(std::string& failure) {
  if (!watch_ || !watch_->changed()) return false;
  const auto loaded = load_credentials(options_.tls.credentials, system_now());
  if (!loaded) failure = loaded.error().detail;
  return loaded && (*loaded)->fingerprint != credentials_->fingerprint;
}

void StreamOpener::dialled(Socket socket) {
  watch_peer(socket.native_handle(), options_.write_timeout);
  if (!tls_) return finish(make_plain_stream(std::move(socket)), {});
  stream_ = make_tls_stream(std::move(socket), tls_);
  timer_.expires_after(options_.connect_timeout);
  timer_.async_wait([self = shared_from_this()](SystemError cancelled) {
    if (cancelled || !self->done_) return;
    self->stream_->close();
    self->finish(nullptr, "no TLS handshake within the connect time-out; is this port a TLS one?");
  });
  stream_->open([self = shared_from_this()](const std::string& failure) {
    if (!self->done_) return;
    self->timer_.cancel();
    self->finish(failure.empty() ? std::move(self->stream_) : nullptr, failure);
  });
}

void StreamOpener::finish(std::shared_ptr<Stream> stream, const std::string& failure) {
  std::exchange(done_, nullptr)(std::move(stream), failure);
}

}  // namespace detection::tak
