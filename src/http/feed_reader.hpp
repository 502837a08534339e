#pragma once
// One reader of the live feed and its event thread. For feed_hub.cpp.
//
// A reader has two halves: what the hub's thread knows of it, and its stream, which only its loop's thread touches.
// What the hub posts to a loop runs there in the same order.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/exchange.hpp"
#include "http/feed_text.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

struct FeedMetrics {
  telemetry::Gauge readers;
  telemetry::Counter events;
  telemetry::Counter cut;
};

class FeedLane;

struct FeedReader {
  FeedReader(Exchange& x, std::shared_ptr<FeedLane> at)
      : exchange(x), lane(std::move(at)), last_event_id(x.head.last_event_id), principal(x.notes.principal) {}

  Exchange& exchange;
  const std::shared_ptr<FeedLane> lane;
  const std::string last_event_id;
  const std::shared_ptr<const security::Principal> principal;  ///< null where nobody asked for one

  // The hub's thread.
  std::string position;                    ///< everything up to it was sent
  std::optional<FeedRing::Place> place{};  ///< the same in the ring, when it is there
  std::uint64_t good_epoch = 0;            ///< the principal is good while this holds,
  UtcMicros good_until{};                  ///< and until then
  bool here = false;
  bool begun = false;  ///< it is a stream already
  bool live = false;
  bool gone = false;

  // The loop's thread.
  Stream* stream = nullptr;
  bool follows = false;  ///< is given every sheet
  bool over = false;
};
using FeedReaderPtr = std::shared_ptr<FeedReader>;

/// The readers of one event thread. Everything that is posted stops to have an effect once the lane is shut.
class FeedLane : public std::enable_shared_from_this<FeedLane> {
 public:
  FeedLane(Loop& loop, FeedMetrics metrics) : loop_(loop), metrics_(metrics) {}

  // The hub's thread.
  void begin(FeedReaderPtr reader, FeedText greeting);
  /// Who has no stream yet. Also when the lane is shut.
  void refuse(FeedReaderPtr reader, Refusal refusal);
  /// `drained` is called on the loop's thread once all is sent.
  void send(FeedReaderPtr reader, FeedText text, std::size_t events, std::function<void()> drained);
  void send(FeedReaderPtr reader, FeedText text) { send(std::move(reader), std::move(text), 0, {}); }
  void follow(FeedReaderPtr reader);
  /// Its stream ends; who has none yet is refused. Also when the lane is shut.
  void end(FeedReaderPtr reader, Refusal refusal);
  void broadcast(FeedText text, std::size_t events);
  /// Broadcasts that the loop has not got round to.
  [[nodiscard]] int waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
  void shut() { shut_.store(true, std::memory_order_release); }

  std::size_t followers = 0;  ///< as the hub knows it

  // The loop's thread.
  void over(FeedReader& reader);

 private:
  template <typename Task>
  void post(Task task);

  Loop& loop_;
  FeedMetrics metrics_;
  std::atomic<int> waiting_{0};
  std::atomic<bool> shut_{false};
  std::vector<FeedReaderPtr> following_;
};

/// The head of the answer.
[[nodiscard]] Answer feed_answer();

}  // namespace detection::http
