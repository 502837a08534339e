#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tak/connection.hpp"
#include "tak/sink.hpp"

namespace detection::tak {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Timer =
    asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, asio::io_context::executor_type>;

constexpr milliseconds kLingerMost{200};
/// Announcements beyond are left out; batches are bounded by the window.
constexpr std::size_t kIncomingMost = 64;

SinkOptions sane(SinkOptions options) {
  options.window_batches = std::max<std::size_t>(1, options.window_batches);
  options.backoff_first = std::max(options.backoff_first, milliseconds{1});
  options.backoff_most = std::max(options.backoff_most, options.backoff_first);
  return options;
}

class ConnectedSink final : public Sink, private ConnectionOwner {
 public:
  ConnectedSink(const SinkOptions& options, SinkListener& listener)
      : options_(sane(options)),
        listener_(listener),
        context_(std::make_shared<asio::io_context>(1)),
        timer_(*context_) {
    std::uint64_t seed = options_.jitter_seed;
    if (seed == 0) {
      std::random_device device;
      seed = (static_cast<std::uint64_t>(device()) << 32) | device();
    }
    memory_.random.seed(static_cast<std::minstd_rand::result_type>(seed ^ (seed >> 32)));
    // Some servers send pings to everybody: that of a replica with our uid must not be taken for ours.
    char word[8];
    const int length = std::snprintf(word, sizeof word, ".%06x", static_cast<unsigned>(memory_.random() & 0xffffff));
    memory_.ping_uid = options_.uid + std::string(word, static_cast<std::size_t>(length));
  }

  ~ConnectedSink() override { stop(milliseconds{0}); }

  void start() override {
    const std::lock_guard lock(life_);
    if (thread_.joinable() || stopped_) return;
    asio::post(*context_, [this] { try_now(); });
    thread_ = std::thread([this] { run(); });
  }

  bool send(BatchNumber number, std::shared_ptr<const EventBatch> batch) override {
    const std::lock_guard lock(mutex_);
    if (!ready_ || stopping_ || in_window_ >= options_.window_batches) return false;
    ++in_window_;
    hand_over({number, std::move(batch)});
    return true;
  }

  void announce(std::shared_ptr<const EventBatch> events) override {
    const std::lock_guard lock(mutex_);
    if (ready_ && !stopping_ && incoming_.size() < kIncomingMost) hand_over({std::nullopt, std::move(events)});
  }

  void stop(milliseconds grace) override {
    const std::lock_guard lock(life_);
    stopped_ = true;
    if (!thread_.joinable()) return;
    {
      const std::lock_guard state(mutex_);
      stopping_ = true;
    }
    asio::post(*context_, [this, grace] { begin_stop(grace); });
    thread_.join();
  }

  SinkStatus status() const override {
    SinkStatus status;
    {
      const std::lock_guard lock(mutex_);
      status.connected = ready_;
      status.state = state_;
      status.since = state_since_;
      status.connects = connects_;
      status.attempts = attempts_;
      status.last_error = last_error_;
      status.last_error_at = last_error_at_;
    }
    status.answers_pings = meter_.answers;
    status.events_received = meter_.events_received;
    status.events_skipped = meter_.events_skipped;
    status.bytes_sent = meter_.bytes_sent;
    status.bytes_received = meter_.bytes_received;
    if (const std::int64_t us = meter_.round_trip_us; us != Meter::kNone) {
      status.round_trip = std::chrono::microseconds{us};
    }
    if (const std::int64_t us = meter_.server_clock_ahead_us; us != Meter::kNone) {
      status.server_clock_ahead = std::chrono::microseconds{us};
    }
    if (const std::int64_t us = meter_.certificate_expires_us; us != Meter::kNone)
      status.certificate_expires = UtcMicros{us};
    status.protocol = meter_.speaks_frames ? "protobuf" : "xml";
    return status;
  }

 private:
  struct Incoming {
    std::optional<BatchNumber> number;  ///< none: an announcement
    std::shared_ptr<const EventBatch> batch;
  };

  void run() {
    // Signals belong to the main thread.
    sigset_t all;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, nullptr);
    (void)pthread_setname_np(pthread_self(), ("tak:" + options_.name).substr(0, 15).c_str());
    const auto guard = asio::make_work_guard(*context_);
    context_->run();
    connection_.reset();
  }

  void try_now() {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      ++attempts_;
      enter(SinkState::kConnecting);
    }
    connection_ = make_connection();
    connection_->open();
  }

  std::shared_ptr<Connection> make_connection() {
    switch (options_.address.scheme) {
      case Scheme::kTcp:
      case Scheme::kTls: break;
      case Scheme::kUdp: return make_datagram_connection(context_, options_, meter_, *this);
      case Scheme::kFile: return make_file_connection(context_, options_, meter_, *this);
    }
    return make_stream_connection(context_, options_, memory_, meter_, *this);
  }

  /// Under the lock.
  void hand_over(Incoming incoming) {
    incoming_.push_back(std::move(incoming));
    if (incoming_.size() == 1) asio::post(*context_, [this] { take_incoming(); });
  }

  void take_incoming() {
    std::vector<Incoming> batches;
    {
      const std::lock_guard lock(mutex_);
      batches.swap(incoming_);
    }
    for (auto& [number, batch] : batches) {
      // It may end inside send(), which drops connection_.
      if (const auto connection = connection_) connection->send(number, std::move(batch));
    }
  }

  void begin_stop(milliseconds grace) {
    timer_.cancel();
    leave_after_ = grace;
    if (!connection_) return context_->stop();
    if (nothing_in_flight() || grace <= milliseconds{0}) return leave();
    timer_.expires_after(grace);
    timer_.async_wait([this](boost::system::error_code cancelled) {
      leave_after_ = milliseconds{0};
      if (!cancelled) leave();
    });
  }

  void leave() {
    // The connection may end inside close(), which drops connection_.
    if (const auto connection = connection_) connection->close(std::min(leave_after_, kLingerMost));
  }

  /// Under the lock.
  void note(std::string_view what) {
    last_error_ = what;
    last_error_at_ = system_now();
  }

  /// Under the lock. A round of tries that all fail is one state.
  void enter(SinkState state) {
    const bool trying = state != SinkState::kConnected && state_ != SinkState::kConnected;
    state_ = state;
    if (!trying) state_since_ = system_now();
  }

  bool nothing_in_flight() const {
    const std::lock_guard lock(mutex_);
    return in_window_ == 0;
  }

  bool stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  // -- ConnectionOwner -------------------------------------------------------------------------------------------
  void connected() override {
    {
      const std::lock_guard lock(mutex_);
      ready_ = true;
      ++connects_;
      enter(SinkState::kConnected);
    }
    listener_.sink_ready();
    listener_.sink_room();
  }

  void delivered(BatchNumber batch, Delivery how) override {
    failures_ = 0;
    {
      const std::lock_guard lock(mutex_);
      --in_window_;
    }
    listener_.batch_delivered(batch, how);
  }

  void delivered_all_known() override {
    listener_.sink_room();
    // Not from inside the connection, which is still reading.
    if (stopping() && nothing_in_flight()) asio::post(*context_, [this] { leave(); });
  }

  void refused(BatchNumber batch, std::size_t index, std::string_view reason) override {
    listener_.event_refused(batch, index, reason);
  }

  void trouble(std::string_view what) override {
    const std::lock_guard lock(mutex_);
    note(what);
  }

  void never_answers(bool never) override { listener_.peer_never_answers(never); }

  void ended(std::string_view reason) override {
    bool was_ready = false;
    bool leaving = false;
    {
      const std::lock_guard lock(mutex_);
      was_ready = std::exchange(ready_, false);
      leaving = stopping_;
      incoming_.clear();
      in_window_ = 0;
      if (!leaving) {
        note(reason);
        enter(SinkState::kWaiting);
      }
    }
    connection_.reset();
    if (was_ready) listener_.sink_lost(reason);
    if (leaving) return context_->stop();
    timer_.expires_after(backoff());
    timer_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled) try_now();
    });
  }

  milliseconds backoff() {
    // Doubled up to the most, then between half of it and all of it, so that many sinks do not come back as one.
    const int doublings = std::min(failures_++, 20);
    const std::int64_t most =
        std::min<std::int64_t>(options_.backoff_most.count(), options_.backoff_first.count() << doublings);
    std::uniform_int_distribution<std::int64_t> jitter((most + 1) / 2, most);
    return milliseconds{jitter(memory_.random)};
  }

  const SinkOptions options_;
  SinkListener& listener_;
  std::shared_ptr<asio::io_context> context_;
  Timer timer_;  ///< before the next try; while stopping: the grace
  PeerMemory memory_;
  Meter meter_;
  std::shared_ptr<Connection> connection_;
  int failures_ = 0;
  milliseconds leave_after_ = kLingerMost;

  std::mutex life_;  ///< start and stop
  bool stopped_ = false;
  std::thread thread_;

  mutable std::mutex mutex_;  ///< all below
  bool ready_ = false, stopping_ = false;
  std::size_t in_window_ = 0;
  std::vector<Incoming> incoming_;
  std::uint64_t connects_ = 0, attempts_ = 0;
  SinkState state_ = SinkState::kConnecting;
  UtcMicros state_since_ = system_now();
  std::string last_error_;
  std::optional<UtcMicros> last_error_at_;
};

}  // namespace

std::unique_ptr<Sink> make_sink(const SinkOptions& options, SinkListener& listener) {
  return std::make_unique<ConnectedSink>(options, listener);
}

}  // namespace detection::tak
