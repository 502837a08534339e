#include "http/connection.hpp"

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <array>
#include <cstring>

#include "http/detection_json.hpp"
#include "http/problem.hpp"
#include "http/trace_context.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace beast_http = boost::beast::http;

constexpr std::size_t kReadBytes = 4u << 10;
constexpr std::size_t kReadBytesLarge = 64u << 10;
/// A refused request's body is read off up to this, so that the connection can be kept.
constexpr std::size_t kRefusedBodyMost = 64u << 10;
/// Bodies up to this are not counted against large_bodies_most.
constexpr std::size_t kSmallBody = 64u << 10;
constexpr std::size_t kLingerBytesMost = 4u << 20;
/// What the reader of a stream may send, though nobody reads it.
constexpr std::size_t kIdleChatterMost = 64u << 10;
constexpr milliseconds kHurry{1'000};
constexpr milliseconds kHurryFresh{250};
constexpr milliseconds kHurryKept{1'000};
constexpr std::size_t kRequestIdMost = 128;
constexpr std::size_t kRequestLineExtra = 32;  ///< method, blanks and version beside the target

bool is_sane_request_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kRequestIdMost && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == ':';
  });
}

}  // namespace

Connection::Connection(EventLoop& loop, Channel channel, Handler& handler, Port port, bool counted)
    : loop_(loop),
      channel_(std::move(channel)),
      handler_(handler),
      port_(port),
      counted_(counted),
      phase_(channel_.encrypted() ? Phase::kHandshake : Phase::kIdle) {
  if (!counted_) return;
  loop_.state().connections[static_cast<std::size_t>(port_)].fetch_add(1, std::memory_order_relaxed);
  if (port_ == Port::kApi) loop_.state().connections_gauge.add(1);
}

Connection::~Connection() {
  release_body();
  if (!counted_) return;
  loop_.state().connections[static_cast<std::size_t>(port_)].fetch_sub(1, std::memory_order_relaxed);
  if (port_ == Port::kApi) loop_.state().connections_gauge.add(-1);
}

void Connection::set_deadline(milliseconds from_now) {
  deadline_ = steady_clock::now() + from_now;
}

void Connection::start() {
  // Until the first byte the header's limit holds: who connects means to ask something.
  set_deadline(loop_.stopping() ? kHurryFresh : loop_.state().limits.header_timeout);
  if (phase_ == Phase::kIdle) return begin();
  channel_.async_handshake(
      [self = boost::intrusive_ptr<Connection>(this)](Channel::Outcome outcome) { self->on_handshake(outcome); });
}

void Connection::on_handshake(Channel::Outcome outcome) {
  if (phase_ != Phase::kHandshake) return;
  if (outcome == Channel::Outcome::kDone) {
    phase_ = Phase::kIdle;
    set_deadline(loop_.stopping() ? kHurryFresh : loop_.state().limits.header_timeout);
    return begin();
  }
  channel_.drop_tls();
  if (outcome == Channel::Outcome::kPlainHttp)
    return fail(ErrorCode::kMalformedRequest, "this port speaks TLS: the address begins with https://", "tls");
  // Who only looked whether the port is open is no failure.
  if (outcome != Channel::Outcome::kEnded) loop_.state().refused("tls");
  linger();
}

void Connection::begin() {
  if (counted_)
    read();
  else
    turn_away();
}

void Connection::turn_away() {
  loop_.state().refused("connections");
  request_id = loop_.mint_request_id();
  keep_alive_ = false;
  fail(ErrorCode::kStoreUnavailable, "the service has as many connections as it takes", {}, "Retry-After: 1\r\n");
}

void Connection::read() {
  if (reading_ || phase_ == Phase::kClosed) return;
  if (begin_ == end_) begin_ = end_ = 0;
  // What is only read off needs no large buffer either: whoever was refused would be the costliest client.
  const std::size_t wanted = phase_ == Phase::kBody ? kReadBytesLarge : kReadBytes;
  // A small body needs no large buffer.
  const bool enough = phase_ == Phase::kBody && head.content_length.value_or(kReadBytesLarge) <= kReadBytes;
  const std::size_t room = enough ? kReadBytes : wanted;
  if (buffer_.size() - end_ < room / 2) {
    if (begin_ > 0) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() - end_ < room) buffer_.resize(end_ + room);
  }
  reading_ = true;
  channel_.async_read_some(asio::buffer(buffer_.data() + end_, buffer_.size() - end_),
                           [self = boost::intrusive_ptr<Connection>(this)](
                               const ErrorCodeOf& error, std::size_t bytes) { self->on_read(error, bytes); });
}

void Connection::on_read(const ErrorCodeOf& error, std::size_t bytes) {
  reading_ = false;
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kLingering) return while_lingering(error, bytes);
  if (phase_ == Phase::kStreaming) return while_streaming(error, bytes);
  if (error == asio::error::eof) {
    // Half-closed: whoever stopped in the middle of a request is told so.
    if (phase_ == Phase::kHead || phase_ == Phase::kBody)
      fail(ErrorCode::kMalformedRequest, "the request ends before its end", {});
    else if (phase_ == Phase::kIdle)
      close();
    return;
  }
  if (error) {
    if (phase_ != Phase::kWorking) close();
    return;
  }
  if (phase_ == Phase::kWriting) return;  // refused already; what still comes is read off by linger()
  end_ += bytes;
  feed();
}

void Connection::while_lingering(const ErrorCodeOf& error, std::size_t bytes) {
  discarded_bytes_ += bytes;
  begin_ = end_ = 0;
  if (error || discarded_bytes_ > kLingerBytesMost)
    close();
  else
    read();
}

/// The read is there to see at once that the reader has left; a half-closed one is taken for gone.
void Connection::while_streaming(const ErrorCodeOf& error, std::size_t bytes) {
  discarded_bytes_ += bytes;
  begin_ = end_ = 0;
  if (error || discarded_bytes_ > kIdleChatterMost)
    close();
  else
    read();
}

void Connection::feed() {
  if (feeding_) return;
  const boost::intrusive_ptr<Connection> keep(this);
  feeding_ = true;
  while ((phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody) && step()) {
  }
  feeding_ = false;
  if (phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody) read();
}

/// False when more bytes are needed.
bool Connection::step() {
  if (phase_ == Phase::kIdle) return step_idle();
  return phase_ == Phase::kHead ? step_head() : step_body();
}

bool Connection::step_idle() {
  // RFC 9112 section 2.2: empty lines before a request are ignored.
  while (begin_ < end_ && (buffer_[begin_] == '\r' || buffer_[begin_] == '\n')) ++begin_;
  if (begin_ == end_) return false;
  begin_request();
  return true;
}

void Connection::begin_request() {
  phase_ = Phase::kHead;
  set_deadline(loop_.stopping() ? kHurry : loop_.state().limits.header_timeout);
  head = {};
  notes = {};
  body.clear();
  head_text_.clear();
  request_id.clear();
  trace_id.clear();
  header_bytes_ = 0;
  refusal_.reset();
  http10_ = false;
  keep_alive_ = true;
  parser_.emplace(head_text_, body);
}

bool Connection::step_head() {
  if (begin_ == end_) return false;
  const auto& limits = loop_.state().limits;
  ErrorCodeOf error;
  const auto used = parser_->put(asio::buffer(buffer_.data() + begin_, buffered()), error);
  begin_ += used;
  header_bytes_ += used;
  const bool done = parser_->is_header_done();
  const bool too_long = header_bytes_ + (done ? 0 : buffered()) > limits.header_bytes_most;
  // Beast keeps the first line back until the whole header is here: its length is seen in the bytes.
  const auto line_most = limits.target_bytes_most + kRequestLineExtra;
  const bool line_too_long = !parser_->has_request_line() && error == beast_http::error::need_more &&
                             buffered() > line_most && std::memchr(buffer_.data() + begin_, '\n', line_most) == nullptr;
  if (parser_->target_bytes() > limits.target_bytes_most || line_too_long) {
    fail(ErrorCode::kUriTooLong, "the target may have at most " + std::to_string(limits.target_bytes_most) + " bytes",
         "target");
    return true;
  }
  if (too_long) {
    fail(ErrorCode::kHeadersTooLarge,
         "the header may have at most " + std::to_string(limits.header_bytes_most) + " bytes", "header");
    return true;
  }
  if (error == beast_http::error::need_more) return false;
  if (error) {
    fail(ErrorCode::kMalformedRequest, "the header cannot be read: " + error.message(), "malformed");
    return true;
  }
  if (done) on_head();
  return true;
}

void Connection::on_head() {
  const auto wrong = parser_->head(head);
  http10_ = parser_->version_is_10();
  keep_alive_ = parser_->keep_alive();
  if (is_sane_request_id(head.request_id)) request_id = head.request_id;
  trace_id = trace_id_of(head.traceparent);
  if (!wrong.empty()) {
    fail(ErrorCode::kMalformedRequest, std::string(wrong), "malformed");
    return;
  }
  auto most = handler_.head(*this);
  if (!most) {
    on_refused_head(std::move(most.error()));
    return;
  }
  if (head.content_length.value_or(0) > *most) {
    fail(ErrorCode::kPayloadTooLarge, "the body may have at most " + std::to_string(*most) + " bytes", "body");
    return;
  }
  parser_->body_most(*most);
  phase_ = Phase::kBody;
  set_deadline(loop_.state().limits.body_timeout);
  if (!parser_->expects_continue() || http10_ || parser_->is_done() || buffered() > 0) return;
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  ErrorCodeOf error;
  const std::array<asio::const_buffer, 1> text{asio::buffer(kContinue)};
  if (channel_.write_some(text, error) != kContinue.size()) close();
}

void Connection::on_refused_head(Refusal refusal) {
  const bool body_follows = !parser_->is_done();
  // A client that asked first may or may not send its body now: what comes next could not be told from it.
  const bool unclear = parser_->expects_continue() && buffered() == 0;
  if (body_follows && (unclear || head.content_length.value_or(0) > kRefusedBodyMost)) {
    keep_alive_ = false;
    phase_ = Phase::kWorking;
    arrived = steady_clock::now();
    refuse(refusal);
    return;
  }
  refusal_ = std::move(refusal);
  parser_->discard_body();
  parser_->body_most(kRefusedBodyMost);
  phase_ = Phase::kBody;
  set_deadline(loop_.state().limits.body_timeout);
}

bool Connection::step_body() {
  if (!parser_->is_done()) {
    if (begin_ == end_) return false;
    ErrorCodeOf error;
    begin_ += parser_->put(asio::buffer(buffer_.data() + begin_, buffered()), error);
    if (parser_->body_too_large()) {
      if (refusal_) {
        keep_alive_ = false;
        phase_ = Phase::kWorking;
        refuse(*std::exchange(refusal_, std::nullopt));
      } else {
        fail(ErrorCode::kPayloadTooLarge, "the body is larger than this route takes", "body");
      }
      return true;
    }
    if (error == beast_http::error::need_more) {
      // Only framing is ever left over: an endless chunk extension or trailer.
      if (buffered() <= loop_.state().limits.header_bytes_most) return false;
      fail(ErrorCode::kMalformedRequest, "the framing of a chunk is too long", "malformed");
      return true;
    }
    if (error) {
      fail(ErrorCode::kMalformedRequest, "the body cannot be read: " + error.message(), "malformed");
      return true;
    }
    if (!account_body()) {
      fail(ErrorCode::kStoreUnavailable, "too many large bodies are being read", "large_bodies", "Retry-After: 1\r\n");
      return true;
    }
    if (!parser_->is_done()) return true;
  }
  complete();
  return true;
}

bool Connection::account_body() {
  if (body.size() <= kSmallBody) return true;
  if (accounted_ == 0 && head.content_length) body.reserve(static_cast<std::size_t>(*head.content_length));
  auto& total = loop_.state().large_body_bytes;
  const auto more = body.size() - accounted_;
  accounted_ = body.size();
  return total.fetch_add(more, std::memory_order_relaxed) + more <= loop_.state().limits.large_bodies_most;
}

void Connection::release_body() {
  if (accounted_ > 0) loop_.state().large_body_bytes.fetch_sub(accounted_, std::memory_order_relaxed);
  accounted_ = 0;
  give_back(body);
}

void Connection::complete() {
  phase_ = Phase::kWorking;
  deadline_ = SteadyTime::max();
  arrived = steady_clock::now();
  received = system_now();
  if (request_id.empty()) request_id = loop_.mint_request_id();
  if (refusal_)
    refuse(*std::exchange(refusal_, std::nullopt));
  else
    handler_.request(*this);
}

void Connection::fail(ErrorCode code, std::string detail, std::string_view reason, std::string headers) {
  if (!reason.empty()) loop_.state().refused(reason);
  if (phase_ <= Phase::kHead) arrived = steady_clock::now();
  keep_alive_ = false;
  refusal_.reset();
  release_body();
  refuse({Error{code, std::move(detail)}, std::move(headers)});
}

void Connection::refuse(const Refusal& refusal) {
  if (request_id.empty()) request_id = loop_.mint_request_id();
  problem_.clear();
  // The path is the caller's text and may be anything that is no blank: only plain ones are shown.
  const bool plain = std::ranges::all_of(head.path, [](char c) { return c > 0x20 && c < 0x7f; });
  append_problem(problem_, refusal.error, plain ? head.path : std::string_view{}, refusal.members);
  Answer form;
  form.status = http_status(refusal.error.code);
  form.content_type = "application/problem+json";
  form.headers = refusal.headers;
  form.body = problem_;
  answer(form);
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  deadline_ = SteadyTime::max();
  channel_.close();
  tell_over();
}

void Connection::sweep(SteadyTime now) {
  if (now < deadline_) return;
  const boost::intrusive_ptr<Connection> keep(this);
  deadline_ = SteadyTime::max();
  switch (phase_) {
    case Phase::kHandshake:
      loop_.state().refused("tls");
      close();
      break;
    case Phase::kHead: fail(ErrorCode::kTimeout, "the header did not arrive in time", "header_timeout"); break;
    case Phase::kBody: fail(ErrorCode::kTimeout, "the body did not arrive in time", "body_timeout"); break;
    case Phase::kWriting:
      loop_.state().refused("write_timeout");
      close();
      break;
    case Phase::kStreaming: cut(); break;
    case Phase::kIdle:
    case Phase::kLingering: close(); break;
    case Phase::kWorking:
    case Phase::kClosed: break;
  }
}

void Connection::hurry(SteadyTime now) {
  // A kept one is not closed at once: a request that is under way meanwhile would be reset. Who asks again is told to
  // close.
  if (phase_ == Phase::kIdle)
    deadline_ = std::min(deadline_, now + (served_ > 0 ? kHurryKept : kHurryFresh));
  else if (phase_ == Phase::kHead || phase_ == Phase::kHandshake)
    deadline_ = std::min(deadline_, now + kHurry);
  else if (phase_ == Phase::kStreaming)
    end();
}

}  // namespace detection::http
