#include "http/audit_check.hpp"

#include <utility>

#include "http/resource_json.hpp"

namespace detection::http {
namespace {

AuditCheck::Outcome stopping() {
  return std::make_shared<const Result<std::string>>(fail(ErrorCode::kStoreUnavailable, "the service is stopping"));
}

}  // namespace

AuditCheck::AuditCheck(store::Store& store, telemetry::Metrics& metrics)
    : store_(store), valid_(metrics.gauge(telemetry::kAuditChainValid)), worker_(1, 1) {}

void AuditCheck::ask(Waiter waiter) {
  bool start = false, refused = false;
  {
    const std::scoped_lock lock(mutex_);
    refused = given_up_;
    if (!refused) {
      waiters_.push_back(std::move(waiter));
      start = !std::exchange(running_, true);
    }
  }
  if (refused) return waiter(stopping());
  if (start) static_cast<void>(worker_.post([this](Workers::Bench&) { run(); }));
}

std::vector<AuditCheck::Waiter> AuditCheck::take() {
  const std::scoped_lock lock(mutex_);
  running_ = false;
  return std::exchange(waiters_, {});
}

void AuditCheck::give_up() {
  std::vector<Waiter> waiters;
  {
    const std::scoped_lock lock(mutex_);
    given_up_ = true;
    waiters.swap(waiters_);
  }
  for (auto& waiter : waiters) waiter(stopping());
}

void AuditCheck::run() {
  Result<std::string> said;
  if (auto verdict = store_.verify_audit()) {
    valid_.set(verdict->valid ? 1 : 0);
    append_verdict(*said, *verdict);
  } else {
    said = std::unexpected(std::move(verdict.error()));
  }
  const auto outcome = std::make_shared<const Result<std::string>>(std::move(said));
  for (auto& waiter : take()) waiter(outcome);
}

}  // namespace detection::http
