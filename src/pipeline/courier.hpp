#pragma once
// The courier of one sink: claims from the store, makes the CoT, has it delivered, records it. One thread each.

#include <chrono>
#include <memory>
#include <string>

#include "cot/event.hpp"
#include "store/store.hpp"
#include "tak/sink.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::pipeline {

struct CourierOptions {
  tak::SinkOptions sink{};
  cot::EventOptions event{};
  std::size_t batch_events = 512;
  std::size_t batch_bytes_first = 512u << 10;  ///< reserved for a batch's text
};

struct CourierStatus {
  std::string sink;
  std::string url;  ///< without credentials
  tak::SinkStatus connection{};
  bool confirms = true;  ///< false: the peer never answers pings, deliveries are "sent, unconfirmed"
};

class Courier {
 public:
  virtual ~Courier() = default;
  virtual void start() = 0;
  /// Ends after what is in flight, at most `grace`; unconfirmed claims are given back.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  /// The store has something due (cheap, any thread).
  virtual void wake() noexcept = 0;
  [[nodiscard]] virtual CourierStatus status() const = 0;
};

[[nodiscard]] Result<std::unique_ptr<Courier>> make_courier(const CourierOptions& options, store::Store& store,
                                                            telemetry::Metrics& metrics, telemetry::Log& log);

}  // namespace detection::pipeline
