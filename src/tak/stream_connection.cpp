#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "cot/event.hpp"
#include "cot/frame.hpp"
#include "cot/negotiation.hpp"
#include "cot/reader.hpp"
#include "tak/connection.hpp"
#include "tak/inbound.hpp"
#include "tak/negotiation.hpp"
#include "tak/ping_ledger.hpp"
#include "tak/send_queue.hpp"
#include "tak/stream_opener.hpp"

namespace detection::tak {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTickMost{250};
constexpr milliseconds kTickUnconfirmed{5};
/// A peer that used to answer is believed to be one that never answers only after so many connections in a row without
/// an answer: a hung server's kernel still accepts connections and acknowledges bytes that nobody will read.
constexpr int kSilentConnectionsMost = 3;
/// How often the credentials are looked at, and how long what is in flight may hold up the use of new ones.
constexpr milliseconds kCredentialsLook{1'000};
constexpr milliseconds kCredentialsPatience{10'000};

UtcMicros in_milliseconds(UtcMicros t) {
  return {t.count / 1'000 * 1'000};
}

/// A server that offers and twice lets our request end the connection gets one in XML, before it is asked again: events
/// are delivered to it all the same.
bool leave_offers(PeerMemory& memory) {
  constexpr int kFailedMost = 2;
  if (memory.requests_failed < kFailedMost) return false;
  memory.requests_failed = kFailedMost - 1;
  return true;
}

class StreamConnection final : public Connection, public std::enable_shared_from_this<StreamConnection> {
 public:
  StreamConnection(const std::shared_ptr<asio::io_context>& context, const SinkOptions& options, PeerMemory& memory,
                   Meter& meter, ConnectionOwner& owner)
      : options_(options),
        memory_(memory),
        meter_(meter),
        owner_(owner),
        opener_(std::make_shared<StreamOpener>(context, options)),
        tick_(*context),
        ping_timer_(*context),
        late_timer_(*context),
        inbound_(options.event_bytes_most),
        negotiation_(options.protocol == ProtocolChoice::kNegotiate && !leave_offers(memory)) {
    std::string ping;
    cot::append_ping_xml(ping, memory_.ping_uid, {});
    if (const auto name = cot::read_event_name(ping)) ping_uid_ = name->uid;
  }

  void open() override {
    opener_->open([self = shared_from_this()](std::shared_ptr<Stream> stream, const std::string& failure) {
      if (self->closed_) return;
      if (!stream) return self->end(failure);
      self->stream_ = std::move(stream);
      self->begin();
    });
  }

  void send(std::optional<BatchNumber> number, std::shared_ptr<const EventBatch> batch) override {
    if (closed_ || closing_) return;
    if (negotiating()) {
      held_.emplace_back(number, std::move(batch));
      return;
    }
    put_batch(number, *batch);
    if (closed_) return;
    if (unconfirmed_) schedule_tick();
    ping_for_batches();
    write();
  }

  void close(milliseconds linger) override {
    if (closed_) return;
    if (!stream_ || linger <= milliseconds{0}) return end("stopped");
    if (closing_) return;
    closing_ = true;
    stream_->say_goodbye();
    ping_timer_.cancel();
    late_timer_.cancel();
    tick_.expires_after(linger);
    tick_.async_wait([self = shared_from_this()](SystemError error) {
      if (!error) self->end("stopped");
    });
  }

 private:
  void begin() {
    meter_.answers = false;
    meter_.speaks_frames = false;
    const Credentials* credentials = opener_->credentials();
    meter_.certificate_expires_us = credentials != nullptr && credentials->certificate_expires
                                        ? credentials->certificate_expires->count
                                        : Meter::kNone;
    const SteadyTime now = steady_clock::now();
    last_received_ = last_progress_ = last_put_ = now;
    last_answer_ = now - kPingSpacingCoarse;
    owner_.connected();
    if (closed_) return;
    put_login();
    put_ping(now);
    write();
    read();
    schedule_tick();
  }

  // -- writing ---------------------------------------------------------------------------------------------------
  void put(Outgoing outgoing) {
    queue_.put(std::move(outgoing));
    last_put_ = steady_clock::now();
  }

  void put_batch(std::optional<BatchNumber> number, const EventBatch& batch) {
    const auto good_until = batch.good_until();
    if (good_until && steady_clock::now() >= *good_until) return end(kTooLate);
    Outgoing outgoing;
    outgoing.bytes.reserve(event_bytes_usual_ * batch.size());
    outgoing.ends.reserve(batch.size());
    const UtcMicros now = system_now();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::size_t before = outgoing.bytes.size();
      batch.append(i, format(), now, outgoing.bytes);
      if (outgoing.bytes.size() > before)
        outgoing.ends.push_back(outgoing.bytes.size());
      else if (number)
        owner_.refused(*number, i, kNothingMade);
    }
    event_bytes_usual_ = outgoing.bytes.size() / batch.size() + 1;
    put(std::move(outgoing));
    if (number) ledger_.add_batch(*number, queue_.queued());
    if (!good_until) return;
    deadlines_.emplace_back(queue_.queued(), *good_until);
    watch_deadlines();
  }

  /// One event that is made as XML, in the protocol spoken now.
  void put_xml(std::string xml) {
    std::string frame;
    if (format() == cot::WireFormat::kFrame && cot::append_frame_of_xml(frame, xml, cot::WireFormat::kFrame))
      xml = std::move(frame);
    const std::size_t end = xml.size();
    put({std::move(xml), {end}});
  }

  void put_login() {
    const Credentials* credentials = opener_->credentials();
    const bool given = !options_.username.empty();
    if (!given && (credentials == nullptr || credentials->username.empty())) return;
    std::string auth;
    cot::append_auth_xml(auth, given ? options_.username : credentials->username,
                         given ? options_.password : credentials->password, options_.uid);
    const std::size_t end = auth.size();
    put({std::move(auth), {end}});
  }

  /// Whether bytes are left of a batch that may leave no more.
  [[nodiscard]] bool too_late(SteadyTime now) {
    while (!deadlines_.empty() && deadlines_.front().first <= queue_.written()) deadlines_.pop_front();
    return !deadlines_.empty() && now >= deadlines_.front().second;
  }

  void watch_deadlines() {
    if (watching_deadlines_ || deadlines_.empty()) return;
    watching_deadlines_ = true;
    late_timer_.expires_at(deadlines_.front().second);
    late_timer_.async_wait([self = shared_from_this()](SystemError cancelled) {
      self->watching_deadlines_ = false;
      if (cancelled || self->closed_ || self->closing_) return;
      if (self->too_late(steady_clock::now())) return self->end(kTooLate);
      self->watch_deadlines();
    });
  }

  void write() {
    if (writing_ || closed_ || closing_ || queue_.empty()) return;
    if (too_late(steady_clock::now())) return end(kTooLate);
    if (queue_.all_acknowledged()) last_progress_ = steady_clock::now();
    writing_ = true;
    stream_->write(
        queue_.waiting(), queue_.front_written(),
        [self = shared_from_this()](const std::string& failure, std::size_t bytes) { self->wrote(failure, bytes); });
  }

  void wrote(const std::string& failure, std::size_t bytes) {
    writing_ = false;
    if (closed_) return;
    if (!failure.empty()) return closing_ ? void() : end(failure);
    meter_.bytes_sent += bytes;
    last_progress_ = steady_clock::now();
    queue_.wrote(bytes);
    write();
  }

  void put_ping(SteadyTime now) {
    const UtcMicros clock = in_milliseconds(system_now());
    const std::int64_t ms = std::max(clock.count / 1'000, memory_.last_ping_ms + 1);
    memory_.last_ping_ms = ms;
    const UtcMicros time{ms * 1'000};
    std::string text;
    cot::append_ping_xml(text, memory_.ping_uid, time);
    put_xml(std::move(text));
    if (!ledger_.awaiting()) awaiting_since_ = now;
    ledger_.add_ping({.time = time, .end_offset = queue_.queued(), .covers = 0, .sent_at = now});
    last_ping_ = now;
    ping_acknowledged_.reset();
  }

  /// A ping behind the batches that have none, as soon as the last one is answered.
  void ping_for_batches() {
    if (unconfirmed_ || closing_ || negotiating() || ledger_.awaiting() || !ledger_.in_flight()) return;
    const SteadyTime now = steady_clock::now();
    const SteadyTime due = last_answer_ + ledger_.spacing();
    if (now >= due) {
      put_ping(now);
    } else if (!ping_timer_armed_) {
      ping_timer_armed_ = true;
      ping_timer_.expires_at(due);
      ping_timer_.async_wait([self = shared_from_this()](SystemError cancelled) {
        self->ping_timer_armed_ = false;
        if (cancelled || self->closed_) return;
        self->ping_for_batches();
        self->write();
      });
    }
  }

  // -- reading ---------------------------------------------------------------------------------------------------
  void read() {
    stream_->read([self = shared_from_this()](const std::string& failure, std::string_view bytes) {
      self->received(failure, bytes);
    });
  }

  void received(const std::string& failure, std::string_view bytes) {
    if (closed_) return;
    if (!failure.empty()) return end(closing_ ? "stopped" : failure);
    meter_.bytes_received += bytes.size();
    last_received_ = steady_clock::now();
    while (const auto event = inbound_.next(bytes)) {
      if (closed_ || closing_) break;
      ++meter_.events_received;
      take_event(*event);
    }
    meter_.events_skipped += inbound_.skipped() - skipped_told_;
    skipped_told_ = inbound_.skipped();
    if (closed_) return;
    if (const auto why = inbound_.broken(); !why.empty())
      return end("the server does not send TAK Protocol frames: " + std::string(why));
    write();
    read();
  }

  void take_event(const InboundEvent& event) {
    if (event.type == "t-x-c-t-r") {
      const PingLedger::Answer answer = ledger_.pong(event.text);
      if (answer.exact && event.time) note_clock(*answer.exact, *event.time);
      act_on(answer);
    } else if (event.type == "t-x-c-t" && event.uid == ping_uid_) {
      if (event.time) act_on(ledger_.echo(in_milliseconds(*event.time)));
    } else if (!inbound_.speaks_frames()) {
      negotiate(event);
    }
  }

  // -- the protocol ----------------------------------------------------------------------------------------------
  [[nodiscard]] bool negotiating() const { return negotiation_.state() == Negotiation::State::kRequested; }
  [[nodiscard]] cot::WireFormat format() const {
    return negotiation_.state() == Negotiation::State::kFrames ? cot::WireFormat::kFrame : cot::WireFormat::kXml;
  }

  void negotiate(const InboundEvent& event) {
    switch (negotiation_.heard(event)) {
      case Negotiation::Step::kNothing: return;
      case Negotiation::Step::kRequest: {
        // Behind everything that was put before; nothing goes out until the answer.
        std::string request;
        cot::append_protocol_request_xml(request, negotiation_.uid(), cot::kProtocolVersion, system_now());
        const std::size_t end = request.size();
        put({std::move(request), {end}});
        requested_at_ = steady_clock::now();
        return;
      }
      case Negotiation::Step::kSwitch:
        memory_.requests_failed = 0;
        inbound_.expect_frames();
        meter_.speaks_frames = true;
        break;
      case Negotiation::Step::kRefused: break;
    }
    // The silence was ours.
    const SteadyTime now = steady_clock::now();
    awaiting_since_ = now;
    ping_acknowledged_.reset();
    for (auto& [number, batch] : std::exchange(held_, {})) {
      put_batch(number, *batch);
      if (closed_) return;
    }
    ping_for_batches();
    keep_alive(now);
  }

  void note_clock(const Ping& ping, UtcMicros theirs) {
    const auto half = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - ping.sent_at) / 2;
    meter_.server_clock_ahead_us = (theirs - (ping.time + half)).count();
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
    tick_.async_wait([self = shared_from_this()](SystemError cancelled) {
      if (cancelled || self->closed_ || self->closing_) return;
      self->tick(steady_clock::now());
      if (!self->closed_ && !self->closing_) self->schedule_tick();
    });
  }

  void tick(SteadyTime now) {
    if (queue_.look(stream_->descriptor())) last_progress_ = now;
    if (queue_.acknowledged() < queue_.queued() && now - last_progress_ >= options_.write_timeout) {
      return end("the peer takes no bytes");
    }
    if (repeat_seen_ && !negotiating() && ledger_.awaiting() && now - *repeat_seen_ >= kPingSpacingCoarse) {
      repeat_seen_.reset();
      ledger_.clock_is_coarse();
      put_ping(now);
    }
    if (negotiating()) {
      if (now - requested_at_ >= options_.negotiation_timeout)
        return end("the server offered protobuf and did not answer our request for it");
    } else {
      check_pong(now);
      if (closed_) return;
      keep_alive(now);
    }
    look_at_credentials(now);
    if (closed_) return;
    if (unconfirmed_) deliver_acknowledged();
    write();
  }

  void check_pong(SteadyTime now) {
    const Ping* ping = ledger_.newest();
    if (!ledger_.awaiting() || ping == nullptr) return;
    if (ledger_.answered() && now - std::max(awaiting_since_, last_progress_) >= options_.silence_timeout) {
      return end("the peer answers no more");
    }
    // The clock of a ping runs from when the peer's TCP had all of it: a slow reader is not one that does not answer.
    if (ping->end_offset > queue_.acknowledged()) return;
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
    while (const auto batch = ledger_.take_until(queue_.acknowledged())) {
      any = true;
      owner_.delivered(*batch, Delivery::kSentUnconfirmed);
    }
    if (any) owner_.delivered_all_known();
  }

  /// A renewed certificate is used from the next connection on; that comes soon, when nothing is in flight.
  void look_at_credentials(SteadyTime now) {
    if (opener_->credentials() == nullptr || now - credentials_seen_ < kCredentialsLook) return;
    credentials_seen_ = now;
    if (!credentials_changed_) {
      std::string failure;
      const bool newer = opener_->newer_credentials(failure);
      if (!failure.empty()) owner_.trouble("the credentials changed and cannot be used: " + failure);
      if (!newer) return;
      credentials_changed_ = now;
    }
    const bool idle = !ledger_.in_flight() && held_.empty();
    if (idle || now - *credentials_changed_ >= kCredentialsPatience)
      end("the credentials have changed: connecting with the new ones");
  }

  void end(std::string_view reason) {
    if (std::exchange(closed_, true)) return;
    if (negotiating() && !closing_) ++memory_.requests_failed;
    meter_.answers = false;
    opener_->cancel();
    if (stream_) stream_->close();
    tick_.cancel();
    ping_timer_.cancel();
    late_timer_.cancel();
    const std::string text(reason);
    owner_.ended(text);
  }

  const SinkOptions& options_;
  PeerMemory& memory_;
  Meter& meter_;
  ConnectionOwner& owner_;
  std::shared_ptr<StreamOpener> opener_;
  std::shared_ptr<Stream> stream_;  ///< none before it is open
  Timer tick_;                      ///< the ticks, then the wait for the peer's goodbye
  Timer ping_timer_;
  Timer late_timer_;  ///< for the first of deadlines_
  bool closing_ = false, closed_ = false;

  SendQueue queue_;
  std::deque<std::pair<std::uint64_t, SteadyTime>>
      deadlines_;  ///< of batches: where each ends, until when it may leave
  std::size_t event_bytes_usual_ = 1024;
  bool writing_ = false;

  Inbound inbound_;
  std::uint64_t skipped_told_ = 0;

  Negotiation negotiation_;
  SteadyTime requested_at_{};
  std::vector<std::pair<std::optional<BatchNumber>, std::shared_ptr<const EventBatch>>> held_;  ///< while negotiating

  PingLedger ledger_;
  std::string ping_uid_;
  bool unconfirmed_ = false, ping_timer_armed_ = false, watching_deadlines_ = false;
  int lost_in_row_ = 0;
  SteadyTime last_received_{}, last_progress_{}, last_put_{}, last_answer_{}, last_ping_{}, awaiting_since_{};
  std::optional<SteadyTime> ping_acknowledged_, repeat_seen_;

  SteadyTime credentials_seen_{};
  std::optional<SteadyTime> credentials_changed_;
};

}  // namespace

std::shared_ptr<Connection> make_stream_connection(const std::shared_ptr<asio::io_context>& context,
                                                   const SinkOptions& options, PeerMemory& memory, Meter& meter,
                                                   ConnectionOwner& owner) {
  return std::make_shared<StreamConnection>(context, options, memory, meter, owner);
}

}  // namespace detection::tak
