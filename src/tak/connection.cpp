#include "tak/connection.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "cot/event.hpp"
#include "cot/event_splitter.hpp"
#include "cot/reader.hpp"
#include "tak/lookup.hpp"
#include "tak/ping_ledger.hpp"

namespace detection::tak {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCodeOfSystem = boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Timer = asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, Executor>;

constexpr std::size_t kReadBytes = 64u << 10;
constexpr std::size_t kGatherMost = 8;
constexpr milliseconds kTickMost{250};
constexpr milliseconds kTickUnconfirmed{5};
/// A peer that used to answer is believed to be one that never answers only after so many connections in a row without
/// an answer: a hung server's kernel still accepts connections and acknowledges bytes that nobody will read.
constexpr int kSilentConnectionsMost = 3;
constexpr int kKeepIdle_s = 15, kKeepInterval_s = 5, kKeepCount = 3;

void set_option(int descriptor, int level, int name, int value) {
  // A refused option costs only speed of noticing a dead peer; the pings notice it too.
  (void)::setsockopt(descriptor, level, name, &value, sizeof value);
}

tcp::endpoint endpoint_of(const Address& address, std::uint16_t port) {
  if (address.v6) {
    asio::ip::address_v6::bytes_type bytes{};
    std::copy_n(address.bytes, 16, bytes.begin());
    return {asio::ip::address_v6(bytes, address.scope), port};
  }
  asio::ip::address_v4::bytes_type bytes{};
  std::copy_n(address.bytes, 4, bytes.begin());
  return {asio::ip::address_v4(bytes), port};
}

UtcMicros in_milliseconds(UtcMicros t) {
  return {t.count / 1'000 * 1'000};
}

class TcpConnection final : public Connection, public std::enable_shared_from_this<TcpConnection> {
 public:
  TcpConnection(const std::shared_ptr<asio::io_context>& context, const SinkOptions& options, PeerMemory& memory,
                Meter& meter, ConnectionOwner& owner)
      : context_(context),
        options_(options),
        memory_(memory),
        meter_(meter),
        owner_(owner),
        socket_(*context),
        tick_(*context),
        ping_timer_(*context),
        inbound_(options.event_bytes_most),
        input_(kReadBytes) {
    std::string ping;
    cot::append_ping_xml(ping, memory.ping_uid, {});
    if (const auto name = cot::read_event_name(ping)) ping_uid_ = name->uid;
  }

  void open() override {
    std::shared_ptr<asio::io_context> context = context_.lock();
    look_up(context, options_.address.host, [weak = weak_from_this()](LookupResult found) {
      if (const auto self = weak.lock()) self->looked_up(std::move(found));
    });
  }

  void send(BatchNumber batch, std::string events) override {
    if (closed_ || closing_) return;
    put(std::move(events));
    ledger_.add_batch(batch, queued_);
    if (unconfirmed_) schedule_tick();
    ping_for_batches();
    write();
  }

  void close(milliseconds linger) override {
    if (closed_) return;
    if (!connected_ || linger <= milliseconds{0}) return end("stopped");
    if (closing_) return;
    closing_ = true;
    ErrorCodeOfSystem ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    ping_timer_.cancel();
    tick_.expires_after(linger);
    tick_.async_wait([self = shared_from_this()](ErrorCodeOfSystem error) {
      if (!error) self->end("stopped");
    });
  }

 private:
  // -- connecting ------------------------------------------------------------------------------------------------
  void looked_up(LookupResult found) {
    if (closed_) return;
    if (found.addresses.empty()) return end(found.error);
    addresses_ = std::move(found.addresses);
    try_next_address("no address");
  }

  void try_next_address(const std::string& why_not) {
    if (next_address_ == addresses_.size()) return end("cannot connect: " + why_not);
    const tcp::endpoint peer = endpoint_of(addresses_[next_address_++], options_.address.port);
    ErrorCodeOfSystem error;
    socket_.close(error);
    socket_.open(peer.protocol(), error);
    if (error) return try_next_address(error.message());
    const std::size_t attempt = next_address_;
    tick_.expires_after(options_.connect_timeout);
    tick_.async_wait([self = shared_from_this(), attempt](ErrorCodeOfSystem cancelled) {
      if (cancelled || self->closed_ || self->connected_ || self->next_address_ != attempt) return;
      ErrorCodeOfSystem ignored;
      self->socket_.close(ignored);
      self->try_next_address("no answer within the connect time-out");
    });
    socket_.async_connect(peer, [self = shared_from_this(), attempt](ErrorCodeOfSystem failed) {
      if (self->closed_ || self->connected_ || self->next_address_ != attempt || !self->socket_.is_open()) return;
      self->tick_.cancel();
      if (failed) return self->try_next_address(failed.message());
      // With nobody listening on a port of the ephemeral range a socket can meet itself (simultaneous open), and would
      // confirm everything to itself.
      ErrorCodeOfSystem gone;
      if (self->socket_.local_endpoint(gone) == self->socket_.remote_endpoint(gone) || gone) {
        return self->try_next_address(gone ? gone.message() : "Connection refused");
      }
      self->begin();
    });
  }

  void begin() {
    connected_ = true;
    const int descriptor = socket_.native_handle();
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdle_s);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kKeepInterval_s);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, kKeepCount);
    // Later than our own check, which can tell the reason; this one also ends what the kernel alone knows of.
    set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT,
               static_cast<int>(std::clamp<std::int64_t>(3 * options_.write_timeout.count(), 1, INT32_MAX)));
    meter_.answers = false;
    const SteadyTime now = steady_clock::now();
    last_received_ = last_progress_ = last_put_ = now;
    last_answer_ = now - kPingSpacingCoarse;
    owner_.connected();
    if (closed_) return;
    put_ping(now);
    write();
    read();
    schedule_tick();
  }

  // -- writing ---------------------------------------------------------------------------------------------------
  void put(std::string text) {
    queued_ += text.size();
    if (!text.empty()) queue_.push_back(std::move(text));
    last_put_ = steady_clock::now();
  }

  void write() {
    if (writing_ || closed_ || closing_ || queue_.empty()) return;
    // What waits goes out in one call: a ping beside its batch. A call never begins or ends inside an event unless the
    // kernel took only a part.
    buffers_.clear();
    std::size_t skip = front_written_;
    for (std::size_t i = 0; i < std::min(queue_.size(), kGatherMost); ++i) {
      buffers_.emplace_back(queue_[i].data() + skip, queue_[i].size() - skip);
      skip = 0;
    }
    if (written_ == acknowledged_) last_progress_ = steady_clock::now();
    writing_ = true;
    socket_.async_write_some(buffers_, [self = shared_from_this()](ErrorCodeOfSystem error, std::size_t bytes) {
      self->wrote(error, bytes);
    });
  }

  void wrote(ErrorCodeOfSystem error, std::size_t bytes) {
    writing_ = false;
    if (closed_) return;
    if (error) return closing_ ? void() : end("write failed: " + error.message());
    written_ += bytes;
    meter_.bytes_sent += bytes;
    last_progress_ = steady_clock::now();
    front_written_ += bytes;
    while (!queue_.empty() && front_written_ >= queue_.front().size()) {
      front_written_ -= queue_.front().size();
      queue_.pop_front();
    }
    write();
  }

  void put_ping(SteadyTime now) {
    const UtcMicros clock = in_milliseconds(system_now());
    const std::int64_t ms = std::max(clock.count / 1'000, memory_.last_ping_ms + 1);
    memory_.last_ping_ms = ms;
    const UtcMicros time{ms * 1'000};
    std::string text;
    cot::append_ping_xml(text, memory_.ping_uid, time);
    put(std::move(text));
    if (!ledger_.awaiting()) awaiting_since_ = now;
    ledger_.add_ping({.time = time, .end_offset = queued_, .covers = 0, .sent_at = now});
    last_ping_ = now;
    ping_acknowledged_.reset();
  }

  /// A ping behind the batches that have none, as soon as the last one is answered.
  void ping_for_batches() {
    if (unconfirmed_ || closing_ || ledger_.awaiting() || !ledger_.in_flight()) return;
    const SteadyTime now = steady_clock::now();
    const SteadyTime due = last_answer_ + ledger_.spacing();
    if (now >= due) {
      put_ping(now);
    } else if (!ping_timer_armed_) {
      ping_timer_armed_ = true;
      ping_timer_.expires_at(due);
      ping_timer_.async_wait([self = shared_from_this()](ErrorCodeOfSystem cancelled) {
        self->ping_timer_armed_ = false;
        if (cancelled || self->closed_) return;
        self->ping_for_batches();
        self->write();
      });
    }
  }

  // -- reading ---------------------------------------------------------------------------------------------------
  void read() {
    socket_.async_read_some(asio::buffer(input_), [self = shared_from_this()](ErrorCodeOfSystem error, std::size_t n) {
      self->received(error, n);
    });
  }

  void received(ErrorCodeOfSystem error, std::size_t bytes) {
    if (closed_) return;
    if (error) {
      if (closing_) return end("stopped");
      return end(error == asio::error::eof ? "closed by the peer" : "read failed: " + error.message());
    }
    meter_.bytes_received += bytes;
    last_received_ = steady_clock::now();
    std::string_view rest(input_.data(), bytes);
    while (const auto event = inbound_.next(rest)) {
      if (closed_ || closing_) break;
      take_event(*event);
    }
    meter_.events_skipped += inbound_.skipped_events() - skipped_told_;
    skipped_told_ = inbound_.skipped_events();
    if (closed_) return;
    write();
    read();
  }

  void take_event(std::string_view event) {
    const auto name = cot::read_event_name(event);
    if (!name) {
      ++meter_.events_skipped;
      return;
    }
    ++meter_.events_received;
    if (name->type == "t-x-c-t-r") {
      const PingLedger::Answer answer = ledger_.pong(event);
      if (answer.exact) note_clock(*answer.exact, name->time);
      act_on(answer);
    } else if (name->type == "t-x-c-t" && name->uid == ping_uid_) {
      const auto time = cot::read_event_time(name->time);
      if (time) act_on(ledger_.echo(in_milliseconds(*time)));
    }
  }

  void note_clock(const Ping& ping, std::string_view pong_time) {
    const auto theirs = cot::read_event_time(pong_time);
    if (!theirs) return;
    const auto half = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - ping.sent_at) / 2;
    meter_.server_clock_ahead_us = (*theirs - (ping.time + half)).count();
  }

  void act_on(const PingLedger::Answer& answer) {
    const SteadyTime now = steady_clock::now();
    switch (answer.verdict) {
      case PingLedger::Verdict::kIgnored: return;
      case PingLedger::Verdict::kRepeat:
        if (!repeat_seen_) repeat_seen_ = now;
        return;
      case PingLedger::Verdict::kOutOfStep:
        // A new connection begins in step. Tried once: a server that always answers so late stays unconfirmed.
        memory_.ever_answered = true;
        if (!std::exchange(memory_.resync_tried, true)) end("the answers to our pings are out of step");
        return;
      case PingLedger::Verdict::kCounted: break;
    }
    last_answer_ = now;
    awaiting_since_ = now;
    lost_in_row_ = 0;
    repeat_seen_.reset();
    unconfirmed_ = false;
    memory_.ever_answered = true;
    memory_.silent_connections = 0;
    meter_.answers = true;
    if (answer.exact) {
      meter_.round_trip_us = std::chrono::duration_cast<std::chrono::microseconds>(now - answer.exact->sent_at).count();
    }
    if (std::exchange(memory_.never_answers, false)) owner_.never_answers(false);
    bool any = false;
    while (const auto batch = ledger_.take_confirmed()) {
      any = true;
      memory_.resync_tried = false;
      owner_.delivered(*batch, Delivery::kConfirmed);
    }
    if (any) owner_.delivered_all_known();
    ping_for_batches();
  }

  // -- time ------------------------------------------------------------------------------------------------------
  void schedule_tick() {
    const milliseconds least = std::min(std::min(options_.write_timeout, options_.pong_timeout),
                                        std::min(options_.ping_interval, options_.silence_timeout));
    milliseconds period = std::clamp(least / 8, milliseconds{1}, kTickMost);
    if (unconfirmed_ && ledger_.in_flight()) period = std::min(period, kTickUnconfirmed);
    tick_.expires_after(period);
    tick_.async_wait([self = shared_from_this()](ErrorCodeOfSystem cancelled) {
      if (cancelled || self->closed_ || self->closing_) return;
      self->tick(steady_clock::now());
      if (!self->closed_ && !self->closing_) self->schedule_tick();
    });
  }

  void tick(SteadyTime now) {
    update_acknowledged(now);
    if (acknowledged_ < queued_ && now - last_progress_ >= options_.write_timeout) {
      return end("the peer takes no bytes");
    }
    if (repeat_seen_ && ledger_.awaiting() && now - *repeat_seen_ >= kPingSpacingCoarse) {
      repeat_seen_.reset();
      ledger_.clock_is_coarse();
      put_ping(now);
    }
    check_pong(now);
    if (closed_) return;
    keep_alive(now);
    if (unconfirmed_) deliver_acknowledged();
    write();
  }

  /// What the peer's TCP has acknowledged. The state is read after the queue: of a connection that was reset the queue
  /// is empty too.
  void update_acknowledged(SteadyTime now) {
    int unacknowledged = 0;
    if (::ioctl(socket_.native_handle(), SIOCOUTQ, &unacknowledged) != 0 || unacknowledged < 0) return;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
    if (info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_CLOSE_WAIT) return;
    const auto queue = static_cast<std::uint64_t>(unacknowledged);
    if (queue > written_ || written_ - queue <= acknowledged_) return;
    acknowledged_ = written_ - queue;
    last_progress_ = now;
  }

  void check_pong(SteadyTime now) {
    const Ping* ping = ledger_.newest();
    if (!ledger_.awaiting() || ping == nullptr) return;
    if (ledger_.answered() && now - std::max(awaiting_since_, last_progress_) >= options_.silence_timeout) {
      return end("the peer answers no more");
    }
    // The clock of a ping runs from when the peer's TCP had all of it: a slow reader is not one that does not answer.
    if (ping->end_offset > acknowledged_) return;
    if (!ping_acknowledged_) ping_acknowledged_ = now;
    if (now - *ping_acknowledged_ < options_.pong_timeout || unconfirmed_) return;
    ++lost_in_row_;
    if (!ledger_.answered()) {
      const int most = memory_.never_answers ? 1 : std::max(1, options_.pongs_lost_until_unconfirmed);
      if (lost_in_row_ >= most) return give_up_on_pongs();
    }
    if (ledger_.unanswered() < kUnansweredMost) {
      put_ping(now);
    } else {
      ping_acknowledged_ = now;
    }
  }

  void give_up_on_pongs() {
    if (memory_.ever_answered && !memory_.never_answers && !memory_.resync_tried &&
        ++memory_.silent_connections < kSilentConnectionsMost) {
      return end("the peer does not answer pings on this connection");
    }
    unconfirmed_ = true;
    if (!std::exchange(memory_.never_answers, true)) owner_.never_answers(true);
  }

  void keep_alive(SteadyTime now) {
    const bool quiet = now - last_received_ >= options_.ping_interval || now - last_put_ >= options_.ping_interval;
    // A peer that does not answer is asked again now and then, also while batches flow.
    const bool due = unconfirmed_ || (quiet && !ledger_.awaiting());
    if (due && now - last_ping_ >= options_.ping_interval) put_ping(now);
  }

  void deliver_acknowledged() {
    bool any = false;
    while (const auto batch = ledger_.take_until(acknowledged_)) {
      any = true;
      owner_.delivered(*batch, Delivery::kSentUnconfirmed);
    }
    if (any) owner_.delivered_all_known();
  }

  void end(std::string_view reason) {
    if (std::exchange(closed_, true)) return;
    meter_.answers = false;
    ErrorCodeOfSystem ignored;
    socket_.close(ignored);
    tick_.cancel();
    ping_timer_.cancel();
    const std::string text(reason);
    owner_.ended(text);
  }

  std::weak_ptr<asio::io_context> context_;
  const SinkOptions& options_;
  PeerMemory& memory_;
  Meter& meter_;
  ConnectionOwner& owner_;
  Socket socket_;
  Timer tick_;  ///< the connect time-out, then the ticks, then the wait for the peer's goodbye
  Timer ping_timer_;
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
  bool connected_ = false, closing_ = false, closed_ = false;

  std::deque<std::string> queue_;
  std::vector<asio::const_buffer> buffers_;
  std::size_t front_written_ = 0;
  bool writing_ = false;
  std::uint64_t queued_ = 0, written_ = 0, acknowledged_ = 0;  ///< bytes of this connection

  cot::EventSplitter inbound_;
  std::vector<char> input_;
  std::uint64_t skipped_told_ = 0;

  PingLedger ledger_;
  std::string ping_uid_;
  bool unconfirmed_ = false, ping_timer_armed_ = false;
  int lost_in_row_ = 0;
  SteadyTime last_received_{}, last_progress_{}, last_put_{}, last_answer_{}, last_ping_{}, awaiting_since_{};
  std::optional<SteadyTime> ping_acknowledged_, repeat_seen_;
};

}  // namespace

std::shared_ptr<Connection> make_tcp_connection(const std::shared_ptr<asio::io_context>& context,
                                                const SinkOptions& options, PeerMemory& memory, Meter& meter,
                                                ConnectionOwner& owner) {
  return std::make_shared<TcpConnection>(context, options, memory, meter, owner);
}

}  // namespace detection::tak
