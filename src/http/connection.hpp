#pragma once
// One connection: reads a request, has it answered, writes the answer, in turn; so pipelined requests are answered in
// order. Lives on its loop's thread. For the server's own .cpp files.

#include <boost/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <memory>
#include <vector>

#include "http/event_loop.hpp"
#include "http/request_parser.hpp"
#include "http/stream_queue.hpp"

namespace detection::http {

class Connection final : public Exchange,
                         public Stream,
                         public ConnectionHook,
                         public boost::intrusive_ref_counter<Connection, boost::thread_unsafe_counter> {
 public:
  /// `counted`: it has a place among the connections of its port; else it is one too many, and is told so.
  Connection(EventLoop& loop, Channel channel, Handler& handler, Port port, bool counted);
  ~Connection();

  void start();
  void sweep(SteadyTime now);
  /// The server stops: ends what has not begun.
  void hurry(SteadyTime now);
  void close();
  /// Lets go of a deferred answer that will never come, and of a stream. The loop turns no more.
  void abandon();

  void answer(const Answer& answer) override;
  void answer_large(const Answer& answer, std::string body) override;
  void refuse(const Refusal& refusal) override;
  void defer() override { self_ = this; }
  [[nodiscard]] Stream& begin_stream(const Answer& head) override;

  bool send(std::shared_ptr<const std::string> chunk) override;
  void end() override;
  void when_drained(std::move_only_function<void()> task) override;
  [[nodiscard]] bool cut_off() const override { return cut_off_; }

 private:
  enum class Phase : std::uint8_t {
    kHandshake,
    kIdle,
    kHead,
    kBody,
    kWorking,
    kWriting,
    kStreaming,
    kLingering,
    kClosed
  };
  using ErrorCodeOf = boost::system::error_code;

  // connection.cpp: what comes in
  void on_handshake(Channel::Outcome outcome);
  void begin();
  void turn_away();
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
  [[nodiscard]] bool account_body();
  void release_body();
  void while_lingering(const ErrorCodeOf& error, std::size_t bytes);
  void while_streaming(const ErrorCodeOf& error, std::size_t bytes);

  // connection_answer.cpp: what goes out
  void compose(const Answer& answer, std::size_t body_bytes);
  void compose_stream(const Answer& answer);
  void append_status(unsigned status);
  void append_rest(const Answer& answer);
  void write(unsigned status);
  void write_more();
  void finished();
  void linger();
  void flush();
  void wait_to_flush();
  void drained();
  void cut();
  void tell_over();
  void over();

  [[nodiscard]] std::size_t buffered() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool keeps_alive() const;
  [[nodiscard]] bool keeps_serving() const;
  static void give_back(std::string& text);
  void set_deadline(std::chrono::milliseconds from_now);

  EventLoop& loop_;
  Channel channel_;
  Handler& handler_;
  const Port port_;
  const bool counted_;
  Phase phase_;
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

  std::unique_ptr<StreamQueue> stream_;  ///< from begin_stream() to Handler::stream_over
  std::move_only_function<void()> on_drained_;
  bool flushing_later_ = false;
  bool ending_ = false;
  bool over_told_ = false;
  bool cut_off_ = false;
};

}  // namespace detection::http
