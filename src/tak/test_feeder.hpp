#pragma once
// A listener for tests that feeds a sink as a courier does: it sends numbered batches in order, sends again what a lost
// connection left open, and holds the sink to its contract. Part of tak_test_server.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tak/sink.hpp"

namespace detection::tak {

/// A valid event whose stale lies an hour ahead; padded by a remark to at least `bytes`.
[[nodiscard]] std::string test_event(const std::string& uid, std::size_t bytes = 0);

/// Prepared texts; only their XML.
class TextBatch final : public EventBatch {
 public:
  explicit TextBatch(std::vector<std::string> events) : events_(std::move(events)) {}
  [[nodiscard]] std::size_t size() const noexcept override { return events_.size(); }
  void append(std::size_t index, cot::WireFormat, UtcMicros, std::string& out) const override { out += events_[index]; }

 private:
  std::vector<std::string> events_;
};
[[nodiscard]] inline std::shared_ptr<const EventBatch> text_batch(std::vector<std::string> events) {
  return std::make_shared<TextBatch>(std::move(events));
}

/// Events in whatever form the connection speaks: test_event's, or hand_made_frame's.
class HandMadeBatch final : public EventBatch {
 public:
  HandMadeBatch(std::vector<std::string> uids, std::size_t bytes) : uids_(std::move(uids)), bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const noexcept override { return uids_.size(); }
  void append(std::size_t index, cot::WireFormat format, UtcMicros now, std::string& out) const override;

 private:
  std::vector<std::string> uids_;
  std::size_t bytes_;
};

class TestFeeder final : public SinkListener {
 public:
  struct Plan {
    std::size_t batches = 10;
    std::size_t events_per_batch = 8;
    std::size_t event_bytes = 0;
    bool attempt_in_uid = true;  ///< "b3-7.a2": batch 3, event 7, second try; else "b3-7"
    std::string uid_prefix = {};
  };
  explicit TestFeeder(Plan plan) : plan_(std::move(plan)) {
    for (std::size_t i = 0; i < plan_.batches; ++i) todo_.push_back(i);
  }

  void attach(Sink& sink) { sink_ = &sink; }
  /// Called for each delivery, on the sink's thread, with the uids as they were sent the last time.
  std::function<void(BatchNumber, const std::vector<std::string>&, Delivery)> on_delivered;

  /// More batches after the planned ones.
  void add(std::size_t batches);
  [[nodiscard]] bool wait_done(std::chrono::milliseconds most);
  [[nodiscard]] bool wait_for(const std::function<bool(const TestFeeder&)>& what, std::chrono::milliseconds most);
  /// From now on every call is against the contract.
  void stopped();

  // Read under the lock (inside wait_for) or after stop().
  std::uint64_t ready = 0, lost = 0, confirmed = 0, unconfirmed = 0;
  std::vector<bool> never_answers;
  std::vector<std::string> reasons, refusals;
  std::vector<std::string> faults;  ///< breaches of the contract
  [[nodiscard]] std::size_t open() const { return todo_.size() + in_flight_.size(); }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }

  void sink_ready() noexcept override;
  void sink_room() noexcept override;
  void batch_delivered(BatchNumber batch, Delivery how) noexcept override;
  void event_refused(BatchNumber batch, std::size_t index, std::string_view reason) noexcept override;
  void sink_lost(std::string_view reason) noexcept override;
  void peer_never_answers(bool never) noexcept override;

 private:
  [[nodiscard]] std::vector<std::string> uids_of(BatchNumber batch);
  void feed();
  void check_live();

  const Plan plan_;
  Sink* sink_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<BatchNumber> todo_;
  std::deque<BatchNumber> in_flight_;
  std::vector<std::uint64_t> attempts_;
  std::size_t numbered_ = 0;
  bool connected_ = false, stopped_ = false;
};

}  // namespace detection::tak
