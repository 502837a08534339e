#pragma once
// The courier of one sink: claims from the store, leaves out what the sink's policy says, makes the CoT, has it
// delivered at the sink's pace, records it. One thread each, so that a stuck sink delays no other.
//
// Where several processes share a store, all of them connect to each sink and stay connected (so that the next one goes
// on at once, and what is wrong with a connection shows before it is needed), but one sends events: the one whose
// claims are not empty. The others send the pings of an idle connection.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cot/event.hpp"
#include "pipeline/selection.hpp"
#include "store/store.hpp"
#include "tak/sink.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::pipeline {

struct CourierOptions {
  tak::SinkOptions sink{};
  cot::EventOptions event{};
  SinkFilter filter{};
  KeepPolicy keep{};                   ///< `fresh` counts by event.stale
  std::optional<double> rate_per_s{};  ///< cap on events a second; none: no cap
  store::QueueLimits limits{};
  std::size_t batch_events = 512;
  /// How many are claimed at once where some may be left out, so that a newer event of the same uid is seen.
  std::size_t look_ahead = 4'096;
  std::function<std::unique_ptr<tak::Sink>(const tak::SinkOptions&, tak::SinkListener&)> make_sink = tak::make_sink;
};

struct CourierStatus {
  std::string sink;
  std::string url;  ///< without credentials
  tak::SinkStatus connection{};
  bool confirms = true;                ///< false: the peer never answers pings, deliveries are "sent, unconfirmed"
  double delivered_per_s = 0;          ///< over the last minute
  std::optional<double> rate_per_s{};  ///< the cap
  bool elsewhere = false;              ///< another process delivers to it now
};

class Courier {
 public:
  virtual ~Courier() = default;
  virtual void start() = 0;
  /// Ends after what is in flight, at most `grace`; unconfirmed claims are given back.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  /// The store has something due (cheap, any thread).
  virtual void wake() noexcept = 0;
  /// Sends these once, if there is a connection; see tak::Sink::announce(). Any thread.
  virtual void announce(std::shared_ptr<const tak::EventBatch> events) = 0;
  [[nodiscard]] virtual CourierStatus status() const = 0;
};

[[nodiscard]] Result<std::unique_ptr<Courier>> make_courier(const CourierOptions& options, store::Store& store,
                                                            telemetry::Metrics& metrics, telemetry::Log& log);

}  // namespace detection::pipeline
