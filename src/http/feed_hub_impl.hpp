#pragma once
// The inside of the live feed. For feed_hub.cpp (its thread, and the live events) and feed_catch_up.cpp (readers that
// are not that far yet).

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "http/feed_hub.hpp"
#include "http/feed_reader.hpp"
#include "http/feed_text.hpp"

namespace detection::http {

using FeedClock = std::chrono::steady_clock;

/// What readers are given at once; well below what one may be behind (ServerLimits::stream_backlog_most).
inline constexpr std::size_t kFeedTailBytes = 512u << 10;
inline constexpr std::size_t kFeedSheetBytes = 256u << 10;
inline constexpr std::size_t kFeedRingBytes = 4u << 20;

[[nodiscard]] Refusal feed_unavailable(std::string detail);

/// What wakes the hub's thread. The store keeps its half of it, which may outlive the hub.
struct FeedBell {
  std::mutex mutex;
  std::condition_variable rings;
  bool committed = false, called = false, stopping = false;
  std::atomic<bool> listening{false};

  /// On the store's writer thread.
  void on_commit() {
    if (!listening.load()) return;
    {
      const std::scoped_lock lock(mutex);
      if (std::exchange(committed, true)) return;
    }
    rings.notify_one();
  }
};

class FeedHub::Impl {
 public:
  Impl(store::Store& store, telemetry::Metrics& metrics, FeedSettings settings)
      : store_(store),
        settings_(settings),
        metrics_{metrics.gauge(telemetry::kFeedReaders), metrics.counter(telemetry::kFeedEventsTotal),
                 metrics.counter(telemetry::kFeedReadersCutTotal)} {}

  void start();
  void stop();
  void subscribe(Exchange& x, Loop& loop);
  void over(Exchange& x);

 private:
  struct Note {
    enum class Kind : std::uint8_t { kNew, kDrained, kGone } kind;
    FeedReaderPtr reader;
  };

  // Any thread.
  [[nodiscard]] std::expected<FeedReaderPtr, Refusal> admit(Exchange& x, Loop& loop);
  void tell(Note note);

  // The hub's thread.
  void run();
  [[nodiscard]] bool wait();
  void take(Note& note);
  void turn();
  [[nodiscard]] bool begin_tail();
  void end_tail();
  [[nodiscard]] bool may_look(FeedClock::time_point now);
  [[nodiscard]] bool at_end();
  [[nodiscard]] bool tail(std::size_t bytes_most);
  [[nodiscard]] std::size_t publish(std::span<const store::FeedEvent> events, std::size_t bytes_most);
  void restart_after_gap();
  void broadcast(const FeedText& text, std::size_t events);
  void heartbeat(FeedClock::time_point now);
  void check_access(FeedClock::time_point now);
  void shut_out(const FeedReaderPtr& reader, Error error);
  void turn_away(const FeedReaderPtr& reader, Refusal refusal);
  void step(const FeedReaderPtr& reader);
  void step_in_ring(const FeedReaderPtr& reader);
  void step_in_store(const FeedReaderPtr& reader);
  void send_page(const FeedReaderPtr& reader, const store::FeedPage& page);
  void join(const FeedReaderPtr& reader, const store::FeedPage& last);
  void send(const FeedReaderPtr& reader, FeedText text, std::size_t events);
  void begin(const FeedReaderPtr& reader);
  void follow(const FeedReaderPtr& reader);
  void gap(const FeedReaderPtr& reader, std::string_view reason);
  void give_up(const FeedReaderPtr& reader, const Error& error);
  void forget(Exchange& x);

  store::Store& store_;
  const FeedSettings settings_;
  const FeedMetrics metrics_;
  const std::shared_ptr<FeedBell> bell_ = std::make_shared<FeedBell>();
  std::thread thread_;

  std::mutex mutex_;  ///< of what follows
  bool stopped_ = false;
  std::vector<Note> notes_;
  std::unordered_map<Exchange*, FeedReaderPtr> readers_;
  std::unordered_map<Loop*, std::shared_ptr<FeedLane>> lanes_;

  // The hub's thread.
  FeedRing ring_{kFeedRingBytes};
  bool tailing_ = false;
  bool behind_ = false;  ///< the last look did not get to the end
  std::deque<FeedReaderPtr> ready_;
  std::vector<FeedReaderPtr> parked_;  ///< until the tail is at the end
  std::size_t readers_here_ = 0;
  FeedClock::time_point next_tail_{}, next_anyway_{}, next_heartbeat_{}, next_access_{};
};

}  // namespace detection::http
