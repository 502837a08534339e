#pragma once
// Between the server (bytes, connections, deadlines) and the routes: one request and its answer. No Boost here.
//
// Threads: each connection lives on one event thread (Loop), and so do its Exchange and the Handler that answers it.
// Work done elsewhere comes back by Loop::post.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "security/token.hpp"

namespace detection::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kDelete, kPatch, kOptions, kOther };
inline constexpr std::size_t kMethods = 8;
[[nodiscard]] std::string_view method_name(Method method) noexcept;  ///< "other" for kOther

/// An IPv6 address, or an IPv4 one mapped into it (::ffff:a.b.c.d), in network order.
using ClientAddress = std::array<std::uint8_t, 16>;

/// What the head of a request says. The views live until its answer is given.
struct RequestHead {
  Method method = Method::kOther;
  std::string_view target;
  std::string_view path;   ///< of the target, still percent-encoded
  std::string_view query;  ///< behind '?', or empty
  std::string_view authorization, content_type, content_encoding, accept, idempotency_key, request_id;
  std::string_view accept_encoding;   ///< several lines: empty, as if it were absent
  std::string_view traceparent;       ///< W3C Trace Context; several lines: empty, as if it were absent
  std::string_view api_key;           ///< X-API-Key
  std::string_view if_none_match;     ///< several lines: empty, as if it were absent
  std::string_view last_event_id;     ///< Last-Event-ID
  std::string_view origin;            ///< Origin
  std::string_view requested_method;  ///< Access-Control-Request-Method
  std::string_view forwarded_for;     ///< X-Forwarded-For; several lines joined in order (RFC 9110 section 5.3)
  bool has_accept = false, has_content_type = false, has_idempotency_key = false;
  std::optional<std::uint64_t> content_length{};
  bool chunked = false;
};

/// A refusal: a problem document, with further header lines (each ended by CRLF).
struct Refusal {
  Error error;
  std::string headers = {};
  std::string members = {};  ///< further members of the document, as JSON text: "scope":"admin"
};

struct Answer {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string_view headers = {};  ///< further lines, each ended by CRLF
  std::string_view body = {};     ///< copied
};

/// What the routes keep with a request; the server only carries and clears it.
struct Notes {
  int route = -1;  ///< index into the route table; -1: unknown path
  bool wants_xml = false;
  bool other_form = false;  ///< GeoJSON, NDJSON, HTML: the second form of that route
  bool in_progress = false;
  std::shared_ptr<const security::Principal> principal{};
  std::optional<std::string> failure{};  ///< why a 5xx was given, for the log
  std::string headers{};                 ///< lines (each ended by CRLF) of whatever answer is given, streams too
};

/// An answer that goes on until one side ends it (server-sent events). On the loop's thread.
class Stream {
 public:
  /// Queues a chunk; the same bytes may go to many. False: the stream is over, maybe because its reader is too slow and
  /// was cut off (ServerLimits::stream_backlog_most); Handler::stream_over follows by itself.
  virtual bool send(std::shared_ptr<const std::string> chunk) = 0;
  /// Closes after what is queued. Handler::stream_over follows by itself.
  virtual void end() = 0;
  /// Calls `task` once, on this thread, when nothing is queued any more, which may be at once; never when the stream is
  /// over before. One at a time: a later task takes the place of an earlier one.
  virtual void when_drained(std::move_only_function<void()> task) = 0;
  /// It ended because its reader was too slow.
  [[nodiscard]] virtual bool cut_off() const = 0;

 protected:
  ~Stream() = default;
};

/// Where the event thread's work is queued.
class Loop {
 public:
  /// Any thread.
  virtual void post(std::move_only_function<void()> task) = 0;

 protected:
  ~Loop() = default;
};

class Exchange {
 public:
  RequestHead head{};
  std::string body;
  std::string request_id;
  std::string trace_id;                             ///< of the caller's trace; empty: none
  std::chrono::steady_clock::time_point arrived{};  ///< the last byte
  UtcMicros received{};                             ///< the same on the wall clock
  ClientAddress peer{};                             ///< the other end of the connection
  Notes notes{};

  /// Exactly once; on the loop's thread. The exchange may be gone when it returns.
  virtual void answer(const Answer& answer) = 0;
  /// The same for a body that is too large to copy.
  virtual void answer_large(const Answer& answer, std::string body) = 0;
  virtual void refuse(const Refusal& refusal) = 0;
  /// The request is answered later: keeps the connection alive until then.
  virtual void defer() = 0;
  /// In place of an answer: status, headers and no length; then whatever is sent. Also ends a defer(). The stream
  /// lives until Handler::stream_over, which is always called, later, on this thread.
  [[nodiscard]] virtual Stream& begin_stream(const Answer& head) = 0;

 protected:
  ~Exchange() = default;
};

/// The routes of one event thread.
class Handler {
 public:
  virtual ~Handler() = default;
  /// The head is here: the largest body, or a refusal before any of it is read.
  [[nodiscard]] virtual std::expected<std::size_t, Refusal> head(Exchange& exchange) = 0;
  /// The whole is here: answers, or defers.
  virtual void request(Exchange& exchange) = 0;
  /// An answer was given (also one that the server gave itself).
  virtual void answered(const Exchange& exchange, unsigned status) = 0;
  /// The stream of this exchange is over; neither may be used any more.
  virtual void stream_over(Exchange& exchange) { static_cast<void>(exchange); }
};

}  // namespace detection::http
