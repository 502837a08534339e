// The half of Connection that writes: answers and streams.

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <array>
#include <charconv>

#include "http/connection.hpp"
#include "http/problem.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kKeptBytes = 64u << 10;  ///< larger strings are given back between requests
constexpr std::size_t kReadBytesKept = 8u << 10;
constexpr milliseconds kLinger{1'000};
/// How long a draining server waits for the last bytes of a stream.
constexpr milliseconds kLastBytes{1'000};

// What browsers are told about every answer of the API port.
constexpr std::string_view kGuards =
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n";
constexpr std::string_view kPolicyName = "Content-Security-Policy: ";
constexpr std::string_view kPolicy = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
constexpr std::string_view kCacheName = "Cache-Control: ";
constexpr std::string_view kNoStore = "Cache-Control: no-store\r\n";
constexpr std::string_view kOnlyTls = "Strict-Transport-Security: max-age=31536000\r\n";

void append_decimal(std::string& out, std::size_t value) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

/// Lines of ours, whose names are always written in one way.
bool has_line(std::string_view lines, std::string_view name) {
  return lines.find(name) != std::string_view::npos;
}

}  // namespace

void Connection::give_back(std::string& text) {
  if (text.capacity() > kKeptBytes)
    text = {};
  else
    text.clear();
}

bool Connection::keeps_serving() const {
  return !loop_.stopping() && !loop_.state().draining.load(std::memory_order_relaxed);
}

bool Connection::keeps_alive() const {
  return keep_alive_ && keeps_serving() &&
         (port_ != Port::kApi || loop_.state().keeps_connections.load(std::memory_order_relaxed));
}

void Connection::append_status(unsigned status) {
  const auto now_s = system_now().count / 1'000'000;
  out_.clear();
  out_.append("HTTP/1.1 ");
  append_decimal(out_, status);
  out_.append(" ").append(status_reason(status)).append("\r\nServer: detection-api\r\nDate: ");
  out_.append(loop_.date(now_s));
}

void Connection::append_rest(const Answer& form) {
  out_.append("\r\nX-Request-ID: ").append(request_id).append("\r\n").append(notes.headers).append(form.headers);
  if (port_ == Port::kApi) {
    out_.append(kGuards);
    if (!has_line(form.headers, kPolicyName) && !has_line(notes.headers, kPolicyName)) out_.append(kPolicy);
    if (!has_line(form.headers, kCacheName) && !has_line(notes.headers, kCacheName)) out_.append(kNoStore);
    if (channel_.encrypted()) out_.append(kOnlyTls);
  }
  if (close_after_)
    out_.append("Connection: close\r\n");
  else if (http10_)
    out_.append("Connection: keep-alive\r\n");
  out_.append("\r\n");
}

void Connection::compose(const Answer& form, std::size_t body_bytes) {
  close_after_ = !keeps_alive();
  append_status(form.status);
  // RFC 9110 section 8.6: no length for 204; for 304 neither, since the body that it stands for is not here.
  if (form.status != 204 && form.status != 304) {
    out_.append("\r\nContent-Type: ").append(form.content_type).append("\r\nContent-Length: ");
    append_decimal(out_, body_bytes);
  }
  append_rest(form);
}

void Connection::compose_stream(const Answer& form) {
  close_after_ = true;
  append_status(form.status);
  out_.append("\r\nContent-Type: ").append(form.content_type);
  if (!http10_) out_.append("\r\nTransfer-Encoding: chunked");
  append_rest(form);
}

void Connection::answer(const Answer& form) {
  compose(form, form.body.size());
  if (head.method != Method::kHead) out_.append(form.body);
  write(form.status);
}

void Connection::answer_large(const Answer& form, std::string large) {
  compose(form, large.size());
  if (head.method != Method::kHead) large_out_ = std::move(large);
  write(form.status);
}

void Connection::write(unsigned status) {
  const boost::intrusive_ptr<Connection> keep(this);
  handler_.answered(*this, status);
  self_.reset();
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kWriting;
  written_ = 0;
  // Nearly always the kernel takes all of it at once, and no deadline is needed.
  deadline_ = SteadyTime::max();
  write_more();
}

void Connection::write_more() {
  const auto first = std::min(written_, out_.size());
  const std::array<asio::const_buffer, 2> rest{asio::buffer(out_) + first,
                                               asio::buffer(large_out_) + (written_ - first)};
  ErrorCodeOf error;
  written_ += channel_.write_some(rest, error);
  if (error && error != asio::error::would_block) return close();
  if (written_ == out_.size() + large_out_.size()) return finished();
  if (deadline_ == SteadyTime::max()) set_deadline(loop_.state().limits.write_timeout);
  channel_.async_wait_write([self = boost::intrusive_ptr<Connection>(this)](const ErrorCodeOf& e) {
    if (self->phase_ != Phase::kWriting) return;
    if (e)
      self->close();
    else
      self->write_more();
  });
}

void Connection::finished() {
  ++served_;
  release_body();
  give_back(out_);
  give_back(problem_);
  large_out_ = {};
  notes = {};
  if (close_after_) {
    linger();
    return;
  }
  if (loop_.stopping() && buffered() == 0) {
    close();
    return;
  }
  phase_ = Phase::kIdle;
  set_deadline(loop_.state().limits.idle_timeout);
  if (buffered() == 0 && buffer_.size() > kReadBytesKept) {
    buffer_ = {};
    begin_ = end_ = 0;
  }
  feed();
}

/// Closing with unread input would reset the connection, and the answer with it.
void Connection::linger() {
  ErrorCodeOf error;
  channel_.shutdown_send(error);
  if (error) {
    close();
    return;
  }
  phase_ = Phase::kLingering;
  set_deadline(kLinger);
  discarded_bytes_ = 0;
  begin_ = end_ = 0;
  read();
}

Stream& Connection::begin_stream(const Answer& form) {
  const boost::intrusive_ptr<Connection> keep(this);
  const bool only_head = head.method == Method::kHead;
  compose_stream(form);
  handler_.answered(*this, form.status);
  self_ = this;
  release_body();
  stream_ = std::make_unique<StreamQueue>(!http10_ && !only_head);
  if (phase_ == Phase::kClosed) {
    tell_over();
    return *this;
  }
  phase_ = Phase::kStreaming;
  deadline_ = SteadyTime::max();
  discarded_bytes_ = 0;
  begin_ = end_ = 0;
  stream_->push_raw(std::make_shared<const std::string>(std::exchange(out_, {})));
  if (only_head || !keeps_serving())
    end();
  else
    flush();
  read();
  return *this;
}

bool Connection::send(std::shared_ptr<const std::string> chunk) {
  if (phase_ != Phase::kStreaming || ending_) return false;
  const boost::intrusive_ptr<Connection> keep(this);
  stream_->push(std::move(chunk));
  if (!flushing_later_) flush();
  if (phase_ == Phase::kStreaming && stream_->bytes() > loop_.state().limits.stream_backlog_most) cut();
  return phase_ == Phase::kStreaming;
}

void Connection::end() {
  if (phase_ != Phase::kStreaming || ending_) return;
  const boost::intrusive_ptr<Connection> keep(this);
  ending_ = true;
  stream_->push_end();
  if (!flushing_later_) flush();
  if (phase_ == Phase::kStreaming && !keeps_serving())
    deadline_ = std::min(deadline_, steady_clock::now() + kLastBytes);
}

void Connection::when_drained(std::move_only_function<void()> task) {
  if (phase_ != Phase::kStreaming) return;
  on_drained_ = std::move(task);
  if (!stream_->empty()) return;
  // Not from within: who sends in the task would come back here.
  loop_.post([self = boost::intrusive_ptr<Connection>(this)] {
    if (self->phase_ == Phase::kStreaming && self->stream_->empty()) self->drained();
  });
}

void Connection::drained() {
  if (auto task = std::exchange(on_drained_, {})) task();
}

void Connection::flush() {
  ErrorCodeOf error;
  while (!stream_->empty()) {
    const auto written = channel_.write_some(stream_->front(), error);
    if (error && error != asio::error::would_block) return close();
    if (written == 0) return wait_to_flush();
    stream_->consume(written);
    deadline_ = SteadyTime::max();
  }
  deadline_ = SteadyTime::max();
  if (!ending_) return drained();
  tell_over();
  linger();
}

void Connection::wait_to_flush() {
  // Anew after all that was taken: whoever goes on reading, however slowly, falls behind rather than silent.
  if (deadline_ == SteadyTime::max()) set_deadline(loop_.state().limits.write_timeout);
  flushing_later_ = true;
  channel_.async_wait_write([self = boost::intrusive_ptr<Connection>(this)](const ErrorCodeOf& error) {
    self->flushing_later_ = false;
    if (self->phase_ != Phase::kStreaming) return;
    if (error)
      self->close();
    else
      self->flush();
  });
}

void Connection::cut() {
  loop_.state().refused("slow_reader");
  cut_off_ = true;
  // What it was owed is of no use any more; the kernel shall not keep it either.
  channel_.reset();
  close();
}

void Connection::tell_over() {
  if (!stream_ || over_told_) return;
  over_told_ = true;
  loop_.post([self = boost::intrusive_ptr<Connection>(this)] { self->over(); });
}

void Connection::over() {
  if (!stream_) return;
  handler_.stream_over(*this);
  stream_.reset();
  on_drained_ = {};
  self_.reset();
}

void Connection::abandon() {
  over();
  self_.reset();
}

}  // namespace detection::http
