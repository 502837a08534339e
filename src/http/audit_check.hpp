#pragma once
// The check of the audit chains on demand: long, so it runs on a thread of its own, one at a time; whoever asks while
// one runs gets that one's answer.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/workers.hpp"
#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

class AuditCheck {
 public:
  using Outcome = std::shared_ptr<const Result<std::string>>;  ///< the answer as JSON
  using Waiter = std::move_only_function<void(const Outcome&)>;

  AuditCheck(store::Store& store, telemetry::Metrics& metrics);
  ~AuditCheck() { stop(); }

  /// The waiter is called once, on another thread, unless the check is stopped first.
  void ask(Waiter waiter);
  /// Whoever waits is told that the service stops; the check itself may still run.
  void give_up();
  /// Waits for a check that runs (closing the store ends it).
  void stop() { worker_.stop(); }

 private:
  void run();
  [[nodiscard]] std::vector<Waiter> take();

  store::Store& store_;
  telemetry::Gauge valid_;
  std::mutex mutex_;
  std::vector<Waiter> waiters_;
  bool running_ = false, given_up_ = false;
  Workers worker_;
};

}  // namespace detection::http
