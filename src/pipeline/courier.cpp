#include "pipeline/courier.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "detection/json_writer.hpp"

namespace detection::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The store is asked again after so long even if nobody woke us.
constexpr milliseconds kLookAgain{1'000};
/// A confirmation that the store could not take is tried again after so long.
constexpr milliseconds kConfirmAgain{250};

struct Ready {};
struct Lost {
  std::string reason;
};
struct Delivered {
  tak::BatchNumber batch;
  tak::Delivery how;
};
struct NeverAnswers {
  bool never;
};
using SinkNews = std::variant<Ready, Lost, Delivered, NeverAnswers>;

std::string url_of(const tak::SinkAddress& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return "tcp://" + (ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

class SinkCourier final : public Courier, private tak::SinkListener {
 public:
  SinkCourier(const CourierOptions& options, store::Store& store, telemetry::Metrics& metrics, telemetry::Log& log)
      : options_(options),
        store_(store),
        log_(log),
        success_(metrics.counter(telemetry::kTakPushTotal, {name(), "success"})),
        unconfirmed_(metrics.counter(telemetry::kTakPushTotal, {name(), "unconfirmed"})),
        failed_(metrics.counter(telemetry::kTakPushTotal, {name(), "failed"})),
        synced_(metrics.counter(telemetry::kOfflineQueueSyncedTotal, {name()})),
        reconnects_(metrics.counter(telemetry::kTakReconnectsTotal, {name()})),
        connected_(metrics.gauge(telemetry::kTakSinkConnected, {name()})),
        duration_(metrics.histogram(telemetry::kTakPushDurationSeconds, {name()})),
        sink_(tak::make_tcp_sink(options.sink, *this)) {}

  ~SinkCourier() override { stop(milliseconds{0}); }

  void start() override {
    thread_ = std::thread([this] { run(); });
    sink_->start();
  }

  void stop(milliseconds grace) override {
    if (!thread_.joinable()) return;
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      stop_by_ = steady_clock::now() + grace;
    }
    news_came_.notify_one();
    thread_.join();
    sink_->stop(milliseconds{0});
    for (const auto& [number, batch] : in_flight_) store_.give_back(batch.claim);
    in_flight_.clear();
  }

  void wake() noexcept override {
    if (due_.exchange(true, std::memory_order_acq_rel)) return;
    // Taken so that the notice cannot fall between the courier's look at due_ and its sleep.
    {
      const std::scoped_lock lock(mutex_);
    }
    news_came_.notify_one();
  }

  CourierStatus status() const override {
    return {name(), url_of(options_.sink.address), sink_->status(), confirms_.load(std::memory_order_relaxed)};
  }

 private:
  struct Batch {
    store::Claim claim;
    UtcMicros sent{};
    steady_clock::time_point started{};
  };
  struct Confirming {
    Batch batch;
    store::Confirmation how;
  };

  // On the sink's thread.
  void sink_ready() noexcept override { tell(Ready{}); }
  void sink_room() noexcept override { tell(std::nullopt); }
  void batch_delivered(tak::BatchNumber batch, tak::Delivery how) noexcept override { tell(Delivered{batch, how}); }
  void sink_lost(std::string_view reason) noexcept override { tell(Lost{std::string(reason)}); }
  void peer_never_answers(bool never) noexcept override { tell(NeverAnswers{never}); }

  void tell(std::optional<SinkNews> news) {
    {
      const std::scoped_lock lock(mutex_);
      if (news) news_.push_back(std::move(*news));
      room_ = true;
    }
    news_came_.notify_one();
  }

  [[nodiscard]] std::string name() const { return options_.sink.name; }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      news_came_.wait_for(lock, to_confirm_.empty() ? kLookAgain : kConfirmAgain, [&] {
        return !news_.empty() || stopping_ ||
               (ready_ && in_flight_.size() < options_.sink.window_batches && (!refused_ || room_) &&
                due_.load(std::memory_order_acquire));
      });
      std::deque<SinkNews> news;
      news.swap(news_);
      const bool stopping = stopping_;
      refused_ = refused_ && !room_;
      room_ = false;
      lock.unlock();

      for (auto& one : news) std::visit([this](auto& what) { on(what); }, one);
      confirm_delivered();
      if (!stopping && ready_) send_what_is_due();

      lock.lock();
      if (stopping_) {
        const bool waiting = ready_ && (!in_flight_.empty() || !to_confirm_.empty());
        if (!waiting || steady_clock::now() >= stop_by_) break;
        news_came_.wait_until(lock, std::min(stop_by_, steady_clock::now() + kConfirmAgain),
                              [&] { return !news_.empty(); });
      }
    }
    lock.unlock();
    for (auto& one : to_confirm_) store_.give_back(one.batch.claim);
    to_confirm_.clear();
    connected_.set(0);
  }

  void on(const Ready&) {
    ready_ = true;
    ready_since_ = system_now();
    connected_.set(1);
    if (connections_++ > 0) reconnects_.increment();
    due_.store(true, std::memory_order_release);
    log_.info("tak_connected", "connected to the TAK server",
              {{"sink", name()}, {"url", url_of(options_.sink.address)}, {"connection", connections_}});
  }

  void on(const Lost& lost) {
    ready_ = false;
    connected_.set(0);
    std::int64_t events = 0;
    for (const auto& [number, batch] : in_flight_) {
      events += static_cast<std::int64_t>(batch.claim.items.size());
      store_.give_back(batch.claim);
    }
    in_flight_.clear();
    due_.store(true, std::memory_order_release);
    log_.warning("tak_lost", "the connection to the TAK server ended; what it did not confirm is sent again",
                 {{"sink", name()}, {"reason", lost.reason}, {"unconfirmed_events", events}});
    if (events == 0) return;
    failed_.increment(static_cast<double>(events));
    audit_failure(lost.reason, events);
  }

  void on(const Delivered& delivered) {
    const auto found = in_flight_.find(delivered.batch);
    if (found == in_flight_.end()) return;
    const auto how = delivered.how == tak::Delivery::kConfirmed ? store::Confirmation::kConfirmed
                                                                : store::Confirmation::kSentUnconfirmed;
    to_confirm_.push_back({std::move(found->second), how});
    in_flight_.erase(found);
  }

  void on(const NeverAnswers& answers) {
    confirms_.store(!answers.never, std::memory_order_relaxed);
    if (answers.never)
      log_.warning("tak_never_confirms", "the TAK server does not answer pings: deliveries count as sent, unconfirmed",
                   {{"sink", name()}});
    else
      log_.info("tak_confirms", "the TAK server answers pings: deliveries are confirmed", {{"sink", name()}});
  }

  void confirm_delivered() {
    while (!to_confirm_.empty()) {
      auto& [batch, how] = to_confirm_.front();
      if (auto done = store_.confirm(batch.claim, how, batch.sent); !done) {
        log_.error("delivery_unrecorded", "a delivered batch could not be recorded yet; it is tried again",
                   {{"sink", name()}, {"reason", done.error().detail}});
        return;
      }
      const auto count = static_cast<double>(batch.claim.items.size());
      (how == store::Confirmation::kConfirmed ? success_ : unconfirmed_).increment(count);
      duration_.observe(std::chrono::duration<double>(steady_clock::now() - batch.started).count());
      double waited = 0;
      for (const auto& item : batch.claim.items)
        if (item.located.received < ready_since_) ++waited;
      if (waited > 0) synced_.increment(waited);
      to_confirm_.pop_front();
    }
  }

  /// Claims and sends until the sink's window is full or nothing is due.
  void send_what_is_due() {
    while (in_flight_.size() < options_.sink.window_batches) {
      due_.store(false, std::memory_order_release);  // before the look: what comes later sets it again
      auto claim = store_.claim(name(), options_.batch_events);
      if (!claim) {
        log_.error("claim_failed", "the outbox cannot be read", {{"sink", name()}, {"reason", claim.error().detail}});
        return;
      }
      if (claim->items.empty()) return;
      const UtcMicros now = system_now();
      std::string events;
      events.reserve(options_.batch_bytes_first);
      for (const auto& item : claim->items) {
        if (item.take_back)
          cot::append_delete_xml(events, item.located.cot_uid, now);
        else
          cot::append_xml(events, cot::make_event(item.located, now, options_.event));
      }
      const auto number = ++last_number_;
      // Known before it is sent: its delivery may be told at once.
      Batch batch{std::move(*claim), now, steady_clock::now()};
      if (!sink_->send(number, std::move(events))) {
        store_.give_back(batch.claim);
        due_.store(true, std::memory_order_release);
        refused_ = true;  // until it says that there is room, or news of its connection comes
        return;
      }
      in_flight_.emplace(number, std::move(batch));
    }
    due_.store(true, std::memory_order_release);  // the window was the end of it, not the queue
  }

  void audit_failure(std::string_view reason, std::int64_t events) {
    std::string detail;
    json::Writer w(detail);
    w.begin_object();
    w.key("sink");
    w.string(name());
    w.key("reason");
    w.string(reason);
    w.key("events");
    w.integer(events);
    w.end_object();
    if (auto done = store_.record({"tak_push_failed", "WARNING", "courier", std::nullopt, std::move(detail)}); !done)
      log_.error("audit_unwritten", "an audit record could not be written", {{"reason", done.error().detail}});
  }

  const CourierOptions options_;
  store::Store& store_;
  telemetry::Log& log_;
  telemetry::Counter success_, unconfirmed_, failed_, synced_, reconnects_;
  telemetry::Gauge connected_;
  telemetry::Histogram duration_;

  std::mutex mutex_;  ///< guards news_, room_, stopping_, stop_by_
  std::condition_variable news_came_;
  std::deque<SinkNews> news_;
  bool room_ = false;
  bool stopping_ = false;
  steady_clock::time_point stop_by_{};
  std::atomic<bool> due_{true};
  std::atomic<bool> confirms_{true};

  // The courier's thread only.
  bool ready_ = false;
  bool refused_ = false;  ///< the sink took nothing more
  UtcMicros ready_since_{};
  std::uint64_t connections_ = 0;
  tak::BatchNumber last_number_ = 0;
  std::map<tak::BatchNumber, Batch> in_flight_;
  std::deque<Confirming> to_confirm_;

  std::unique_ptr<tak::Sink> sink_;  // last: its thread calls this object
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Courier>> make_courier(const CourierOptions& options, store::Store& store,
                                              telemetry::Metrics& metrics, telemetry::Log& log) {
  if (auto opened = store.open_sink(options.sink.name); !opened) return std::unexpected(opened.error());
  return std::make_unique<SinkCourier>(options, store, metrics, log);
}

}  // namespace detection::pipeline
