#include <openssl/err.h>
#include <openssl/ssl.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "tak/stream.hpp"
#include "tak/tls_context.hpp"

namespace detection::tak {
namespace {

/// taky reads 4096 bytes of a record and the rest only when more arrives; to others the size does not matter.
constexpr std::size_t kRecordBytes = 4096;
/// Plain bytes encrypted for one write.
constexpr std::size_t kWriteBytes = 64u << 10;
/// From the bytes to what they say: one turn to take them, one to tell.
constexpr int kTurnsForReading = 2;

struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

/// TLS over memory BIOs: records go to the kernel many in one call, and none of them is cut by us.
class TlsStream final : public Stream, public std::enable_shared_from_this<TlsStream> {
 public:
  TlsStream(Socket socket, std::shared_ptr<const TlsContext> context)
      : socket_(std::move(socket)),
        context_(std::move(context)),
        ssl_(SSL_new(context_->native().get())),
        cipher_in_(kReadBytes),
        plain_in_(kReadBytes) {
    if (!ssl_) return;
    from_network_ = BIO_new(BIO_s_mem());
    to_network_ = BIO_new(BIO_s_mem());
    // From here on the session owns both.
    SSL_set_bio(ssl_.get(), from_network_, to_network_);
    BIO_set_mem_eof_return(from_network_, -1);
    SSL_set_connect_state(ssl_.get());
    SSL_set_options(ssl_.get(), SSL_OP_NO_RENEGOTIATION);
    SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
  }

  void open(Opened done) override {
    if (!ssl_ || from_network_ == nullptr || to_network_ == nullptr) return done("no memory for TLS");
    if (auto ready = context_->configure(ssl_.get()); !ready) return done(ready.error().detail);
    opened_ = std::move(done);
    handshake();
  }

  void write(const std::deque<Outgoing>& queue, std::size_t skip, Wrote done) override {
    std::size_t taken = 0;
    for (const auto& outgoing : queue) {
      while (skip < outgoing.bytes.size() && taken < kWriteBytes) {
        const std::size_t bytes = record_end(outgoing, skip) - skip;
        ERR_clear_error();
        std::size_t put = 0;
        if (SSL_write_ex(ssl_.get(), outgoing.bytes.data() + skip, bytes, &put) != 1)
          return fail_later(std::move(done), "write failed: " + why());
        taken += put;
        skip += put;
      }
      if (taken >= kWriteBytes) break;
      skip = 0;
    }
    written_plain_ = taken;
    wrote_ = std::move(done);
    flush();
  }

  void read(Read done) override {
    read_ = std::move(done);
    take_plain();
  }

  void say_goodbye() override {
    saying_goodbye_ = true;
    ERR_clear_error();
    (void)SSL_shutdown(ssl_.get());
    flush();
  }

  void close() override {
    SystemError ignored;
    socket_.close(ignored);
    // They own who owns us: kept, a thread that stops before they are called would leave a circle behind.
    const auto opened = std::exchange(opened_, nullptr);
    const auto wrote = std::exchange(wrote_, nullptr);
    const auto read = std::exchange(read_, nullptr);
  }

  int descriptor() override { return socket_.native_handle(); }

 private:
  // Nobody is told after close().
  void tell_opened(const std::string& failure) {
    if (const auto done = std::exchange(opened_, nullptr)) done(failure);
  }
  void tell_wrote(const std::string& failure, std::size_t bytes) {
    if (const auto done = std::exchange(wrote_, nullptr)) done(failure, bytes);
  }
  void tell_read(const std::string& failure, std::string_view bytes) {
    if (const auto done = std::exchange(read_, nullptr)) done(failure, bytes);
  }

  /// Whole events up to kRecordBytes; a longer one goes alone, in as many records as it needs.
  static std::size_t record_end(const Outgoing& outgoing, std::size_t from) {
    const auto next = std::upper_bound(outgoing.ends.begin(), outgoing.ends.end(), from);
    const auto beyond = std::upper_bound(next, outgoing.ends.end(), from + kRecordBytes);
    return beyond == next ? std::min(*next, from + SSL3_RT_MAX_PLAIN_LENGTH) : *(beyond - 1);
  }

  [[nodiscard]] std::string why() const { return TlsContext::explain(ssl_.get(), ERR_peek_error()); }

  void fail_later(Wrote done, std::string failure) {
    asio::post(socket_.get_executor(), [done = std::move(done), failure = std::move(failure)] { done(failure, 0); });
  }

  void handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int reason = SSL_get_error(ssl_.get(), result);
    flush();
    if (result == 1) return tell_opened({});
    if (reason != SSL_ERROR_WANT_READ) return tell_opened(why());
    receive([self = shared_from_this()](const std::string& failure) {
      if (failure.empty()) return self->handshake();
      self->tell_opened(failure == kClosedByPeer ? TlsContext::explain(self->ssl_.get()) : failure);
    });
  }

  /// What OpenSSL has for the network goes out, also its own records (handshake, key update).
  void flush() {
    if (flushing_) return;
    char* data = nullptr;
    const long bytes = BIO_get_mem_data(to_network_, &data);
    if (bytes <= 0) {
      if (wrote_) tell_wrote({}, std::exchange(written_plain_, 0));
      if (!saying_goodbye_) return;
      SystemError ignored;
      socket_.shutdown(Socket::shutdown_send, ignored);
      return;
    }
    cipher_out_.assign(data, static_cast<std::size_t>(bytes));
    (void)BIO_reset(to_network_);
    flushing_ = true;
    asio::async_write(socket_, asio::buffer(cipher_out_), [self = shared_from_this()](SystemError error, std::size_t) {
      self->flushing_ = false;
      if (!error) return self->flush();
      self->write_failed(error, kTurnsForReading);
    });
  }

  /// What the peer said before it went may have been read already, in a handler that waits for its turn: it goes first.
  void write_failed(const SystemError& error, int turns) {
    if (turns > 0) {
      return asio::post(socket_.get_executor(),
                        [self = shared_from_this(), error, turns] { self->write_failed(error, turns - 1); });
    }
    if (wrote_) tell_wrote(why_not_written(error), 0);
  }

  /// Under TLS 1.3 the refusal of our certificate may lie unread before the reset that ended the write.
  [[nodiscard]] std::string why_not_written(const SystemError& error) {
    std::array<char, 4096> unread{};
    const auto got = ever_read_ ? 0 : ::recv(socket_.native_handle(), unread.data(), unread.size(), MSG_DONTWAIT);
    if (got > 0 && BIO_write(from_network_, unread.data(), static_cast<int>(got)) == got) {
      std::size_t read = 0;
      int result = 1;
      ERR_clear_error();
      while ((result = SSL_read_ex(ssl_.get(), unread.data(), unread.size(), &read)) == 1) {
      }
      if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_SSL) return why();
    }
    return "write failed: " + error.message();
  }

  void receive(std::function<void(const std::string& failure)> done) {
    socket_.async_read_some(asio::buffer(cipher_in_), [self = shared_from_this(), done = std::move(done)](
                                                          SystemError error, std::size_t bytes) {
      if (error == asio::error::eof) return done(std::string(kClosedByPeer));
      if (error) return done("read failed: " + error.message());
      const int put = BIO_write(self->from_network_, self->cipher_in_.data(), static_cast<int>(bytes));
      done(put == static_cast<int>(bytes) ? std::string{} : "no memory for TLS");
    });
  }

  void take_plain() {
    std::size_t got = 0, all = 0;
    int result = 1;
    ERR_clear_error();
    while (all < plain_in_.size() &&
           (result = SSL_read_ex(ssl_.get(), plain_in_.data() + all, plain_in_.size() - all, &got)) == 1)
      all += got;
    const int reason = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    const std::string failure = reason == SSL_ERROR_SSL ? why() : std::string{};
    flush();  // an answer of OpenSSL's own, if there is one
    if (all > 0) {
      ever_read_ = true;
      return asio::post(socket_.get_executor(), [self = shared_from_this(), all] {
        self->tell_read({}, std::string_view(self->plain_in_.data(), all));
      });
    }
    if (reason == SSL_ERROR_WANT_READ) {
      return receive([self = shared_from_this()](const std::string& failed) {
        if (failed.empty()) return self->take_plain();
        // Under TLS 1.3 a server refuses our certificate only now, some without a word.
        const bool unexplained = failed == kClosedByPeer && !self->ever_read_;
        self->tell_read(unexplained ? TlsContext::explain(self->ssl_.get()) : failed, {});
      });
    }
    asio::post(socket_.get_executor(), [self = shared_from_this(), failure] {
      self->tell_read(failure.empty() ? std::string(kClosedByPeer) : failure, {});
    });
  }

  Socket socket_;
  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  BIO* from_network_ = nullptr;
  BIO* to_network_ = nullptr;
  std::vector<char> cipher_in_, plain_in_;
  std::string cipher_out_;
  bool flushing_ = false, saying_goodbye_ = false, ever_read_ = false;
  std::size_t written_plain_ = 0;
  Opened opened_;
  Wrote wrote_;
  Read read_;
};

}  // namespace

std::shared_ptr<Stream> make_tls_stream(Socket socket, std::shared_ptr<const TlsContext> context) {
  return std::make_shared<TlsStream>(std::move(socket), std::move(context));
}

}  // namespace detection::tak
