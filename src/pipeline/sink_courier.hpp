#pragma once
// The inside of a courier (private to this room). Its thread does all but what is marked; the sink's thread leaves its
// news in a queue.

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "pipeline/claimed_events.hpp"
#include "pipeline/courier.hpp"
#include "pipeline/pace.hpp"
#include "pipeline/patience.hpp"
#include "pipeline/poison_guard.hpp"

namespace detection::pipeline {

class SinkCourier final : public Courier, private tak::SinkListener {
 public:
  SinkCourier(const CourierOptions& options, store::Store& store, telemetry::Metrics& metrics, telemetry::Log& log);
  ~SinkCourier() override;

  // Any thread. courier.cpp
  void start() override;
  void stop(std::chrono::milliseconds grace) override;
  void wake() noexcept override;
  void announce(std::shared_ptr<const tak::EventBatch> events) override;
  CourierStatus status() const override;

 private:
  struct Ready {};
  struct Lost {
    std::string reason;
  };
  struct Delivered {
    tak::BatchNumber batch;
    tak::Delivery how;
  };
  struct Refused {
    tak::BatchNumber batch;
    std::size_t index;
    std::string reason;
  };
  struct NeverAnswers {
    bool never;
  };
  using News = std::variant<Ready, Lost, Delivered, Refused, NeverAnswers>;

  struct DeadEvent {
    std::int64_t sequence = 0;
    std::string reason;
  };
  struct Batch {
    std::shared_ptr<const ClaimedEvents> events;
    UtcMicros sent{};
    SteadyTime started{};
    std::vector<DeadEvent> dead;  ///< of it, in the store or yet to be put there
    std::size_t buried = 0;       ///< so many of these are in the store
    [[nodiscard]] const store::Claim& claim() const { return events->claim(); }
    [[nodiscard]] std::size_t arrived() const { return events->size() - dead.size(); }
  };
  struct Ending {
    Batch batch;
    store::Confirmation how = store::Confirmation::kConfirmed;
  };

  // The sink's thread.
  void sink_ready() noexcept override { tell(Ready{}); }
  void sink_room() noexcept override { tell(std::nullopt); }
  void batch_delivered(tak::BatchNumber batch, tak::Delivery how) noexcept override { tell(Delivered{batch, how}); }
  void event_refused(tak::BatchNumber batch, std::size_t index, std::string_view reason) noexcept override {
    tell(Refused{batch, index, std::string(reason)});
  }
  void sink_lost(std::string_view reason) noexcept override { tell(Lost{std::string(reason)}); }
  void peer_never_answers(bool never) noexcept override { tell(NeverAnswers{never}); }
  void tell(std::optional<News> news);

  // courier.cpp
  [[nodiscard]] const std::string& name() const { return options_.sink.name; }
  void run();

  // courier_news.cpp
  void on(const Ready& ready);
  void on(const Lost& lost);
  void on(const Delivered& delivered);
  void on(const Refused& refused);
  void on(const NeverAnswers& answers);
  void act_on(PoisonGuard::Verdict verdict);
  void audit_failure(std::string_view reason, std::int64_t events);

  // courier_delivery.cpp
  [[nodiscard]] std::size_t window() const {
    return guard_.careful() || in_time_most_ < options_.batch_events ? 1 : options_.sink.window_batches;
  }
  [[nodiscard]] SteadyTime when_to_send(SteadyTime now);
  [[nodiscard]] bool server_serves() const;
  void send_what_is_due();
  [[nodiscard]] bool send_some(SteadyTime now);
  [[nodiscard]] bool send(Batch batch);
  void end_batches();
  void store_failed(std::string_view event, std::string_view message, const Error& error);
  void store_answered();
  [[nodiscard]] Result<void> end(Ending& ending);
  void log_ended(const Ending& ending);
  void log_omitted(const ClaimedEvents& events);
  void count(const Ending& ending);

  const CourierOptions options_;
  const SelectionRules rules_;
  store::Store& store_;
  telemetry::Log& log_;
  telemetry::Counter success_, unconfirmed_, failed_, dead_, synced_, reconnects_;
  std::array<telemetry::Counter, 3> omitted_;  ///< by OmitReason
  telemetry::Gauge connected_;
  telemetry::Histogram duration_;

  mutable std::mutex mutex_;  ///< guards up to stop_by_
  std::condition_variable news_came_;
  std::deque<News> news_;
  RateMeter delivered_;
  bool room_ = false;
  bool stopping_ = false;
  SteadyTime stop_by_{};

  std::atomic<bool> due_{true};
  std::atomic<bool> confirms_;
  std::atomic<bool> elsewhere_{false};

  // The courier's thread only.
  bool ready_ = false;
  bool refused_ = false;  ///< the sink took nothing more
  bool served_ = false;   ///< when the last batch left, the server had shown that it serves
  UtcMicros ready_since_{};
  SteadyTime ready_at_{};
  std::uint64_t connections_ = 0;
  std::string lost_reason_;
  tak::BatchNumber last_number_ = 0;
  TokenBucket pace_;
  Patience patience_;
  SteadyTime look_after_{};  ///< another process has the sink: no claim before
  /// So many events get to the peer before a claim runs out; under the size of a batch only where one did.
  std::size_t in_time_most_;
  PoisonGuard guard_;
  std::map<tak::BatchNumber, Batch> in_flight_;
  std::vector<Batch> aside_;  ///< suspected: one event each
  std::deque<Ending> ending_;

  std::unique_ptr<tak::Sink> sink_;  // last: its thread calls this object
  std::thread thread_;
};

}  // namespace detection::pipeline
