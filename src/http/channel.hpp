#pragma once
// The bytes of one connection: a socket, with TLS over it or without. What costs nothing without TLS is decided by one
// branch a call. For the server's own .cpp files.

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <span>
#include <utility>

#include "http/tls_session.hpp"

namespace detection::http {

namespace asio = boost::asio;

using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

class Channel {
 public:
  using ErrorCodeOf = boost::system::error_code;
  using Outcome = TlsSession::Outcome;

  /// The socket is non-blocking. `tls` is null for plain bytes.
  Channel(Socket socket, std::unique_ptr<TlsSession> tls) : socket_(std::move(socket)), tls_(std::move(tls)) {}

  [[nodiscard]] bool encrypted() const noexcept { return tls_ != nullptr; }
  /// After a handshake that failed: what is still said is said in the clear.
  void drop_tls() { tls_.reset(); }

  /// `handler(outcome)`, kDone or why not; maybe at once.
  template <typename Handler>
  void async_handshake(Handler handler) {
    const auto outcome = tls_->handshake();
    if (outcome != Outcome::kWantsRead && outcome != Outcome::kWantsWrite) return handler(outcome);
    async_wait(outcome, [this, handler = std::move(handler)](const ErrorCodeOf& error) mutable {
      if (error) return handler(Outcome::kFailed);
      async_handshake(std::move(handler));
    });
  }

  /// `handler(error, bytes)`, never from within. What the handler holds must keep this alive.
  template <typename Handler>
  void async_read_some(asio::mutable_buffer to, Handler handler) {
    if (!tls_) return socket_.async_read_some(to, std::move(handler));
    auto attempt = [this, to, handler = std::move(handler)](const ErrorCodeOf& error) mutable {
      read_encrypted(error, to, std::move(handler));
    };
    if (!tls_->has_buffered()) return async_wait(Outcome::kWantsRead, std::move(attempt));
    asio::post(socket_.get_executor(), [attempt = std::move(attempt)]() mutable { attempt(ErrorCodeOf{}); });
  }

  /// As much as is taken at once; `would_block` when that is nothing. After it, the same bytes must come first again.
  template <typename Buffers>
  std::size_t write_some(const Buffers& buffers, ErrorCodeOf& error) {
    if (!tls_) return socket_.write_some(buffers, error);
    return write_encrypted(std::span<const asio::const_buffer>(std::data(buffers), std::size(buffers)), error);
  }

  /// `handler(error)` once more can be written.
  template <typename Handler>
  void async_wait_write(Handler handler) {
    async_wait(Outcome::kWantsWrite, std::move(handler));
  }

  void shutdown_send(ErrorCodeOf& error) {
    if (tls_) tls_->say_goodbye();
    socket_.shutdown(Socket::shutdown_send, error);
  }
  void close() {
    if (tls_ && socket_.is_open()) tls_->say_goodbye();
    ErrorCodeOf ignored;
    socket_.close(ignored);
  }
  /// Throws away what was not sent yet.
  void reset() {
    ErrorCodeOf ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

 private:
  template <typename Handler>
  void async_wait(Outcome what, Handler handler) {
    socket_.async_wait(what == Outcome::kWantsWrite ? Socket::wait_write : Socket::wait_read, std::move(handler));
  }

  template <typename Handler>
  void read_encrypted(ErrorCodeOf error, asio::mutable_buffer to, Handler handler) {
    if (!error && (!tls_ || !socket_.is_open())) error = asio::error::operation_aborted;
    if (error) return handler(error, std::size_t{0});
    std::size_t got = 0;
    const auto outcome = tls_->read(to.data(), to.size(), got);
    if (outcome == Outcome::kWantsRead || outcome == Outcome::kWantsWrite) {
      return async_wait(outcome, [this, to, handler = std::move(handler)](const ErrorCodeOf& e) mutable {
        read_encrypted(e, to, std::move(handler));
      });
    }
    if (outcome == Outcome::kEnded) error = asio::error::eof;
    if (outcome == Outcome::kFailed) error = asio::error::connection_reset;
    handler(error, got);
  }

  std::size_t write_encrypted(std::span<const asio::const_buffer> buffers, ErrorCodeOf& error);

  Socket socket_;
  std::unique_ptr<TlsSession> tls_;
};

}  // namespace detection::http
