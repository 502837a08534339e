#pragma once
// One connection: reads a request, has it answered, writes the answer, in turn; so pipelined requests are answered in
// order. Lives on its loop's thread. For the server's own .cpp files.

#include <boost/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <vector>

#include "http/event_loop.hpp"
#include "http/request_parser.hpp"

namespace detection::http {

class Connection final : public Exchange,
                         public ConnectionHook,
                         public boost::intrusive_ref_counter<Connection, boost::thread_unsafe_counter> {
 public:
  /// `counted`: it has a place among the connections of its port.
  Connection(EventLoop& loop, Socket socket, Handler& handler, Port port, bool counted);
  ~Connection();

  void start();
  /// One too many: 503, then close.
  void turn_away();
  void sweep(SteadyTime now);
  /// The server stops: ends what has not begun.
  void hurry(SteadyTime now);
  void close();
  /// Lets go of a deferred answer that will never come.
  void abandon() { self_.reset(); }

  void answer(const Answer& answer) override;
  void answer_large(const Answer& answer, std::string body) override;
  void refuse(const Refusal& refusal) override;
  void defer() override { self_ = this; }

 private:
  enum class Phase : std::uint8_t { kIdle, kHead, kBody, kWorking, kWriting, kLingering, kClosed };
  using ErrorCodeOf = boost::system::error_code;

  void read();
  void on_read(const ErrorCodeOf& error, std::size_t bytes);
  void feed();
  [[nodiscard]] bool step();
  [[nodiscard]] bool step_idle();
  [[nodiscard]] bool step_head();
  [[nodiscard]] bool step_body();
  void begin_request();
  void on_head();
  void on_refused_head(Refusal refusal);
  void complete();
  void fail(ErrorCode code, std::string detail, std::string_view reason, std::string headers = {});
  void compose(const Answer& answer, std::size_t body_bytes);
  void write(unsigned status);
  void on_written(const ErrorCodeOf& error);
  void finished();
  void linger();
  [[nodiscard]] bool account_body();
  void release_body();
  [[nodiscard]] std::size_t buffered() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool keeps_alive() const;
  void set_deadline(std::chrono::milliseconds from_now);

  EventLoop& loop_;
  Socket socket_;
  Handler& handler_;
  const Port port_;
  const bool counted_;
  Phase phase_ = Phase::kIdle;
  bool reading_ = false;
  bool feeding_ = false;
  bool close_after_ = false;
  bool keep_alive_ = true;
  bool http10_ = false;
  SteadyTime deadline_ = SteadyTime::max();
  std::size_t served_ = 0;

  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::size_t header_bytes_ = 0;
  std::size_t discarded_bytes_ = 0;
  std::size_t accounted_ = 0;

  std::optional<RequestParser> parser_;
  std::optional<Refusal> refusal_;
  std::string head_text_;
  std::string out_, large_out_, problem_;
  std::size_t written_ = 0;
  boost::intrusive_ptr<Connection> self_;
};

}  // namespace detection::http
