#include "app/audit_keeper.hpp"

namespace detection::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr hours kCheckEvery{24};
constexpr hours kPruneEvery{1};
constexpr std::chrono::seconds kRecordAgain{5};

}  // namespace

AuditKeeper::AuditKeeper(store::Store& store, std::optional<milliseconds> retention, telemetry::Metrics& metrics,
                         telemetry::Log& log)
    : store_(store), retention_(retention), valid_(metrics.gauge(telemetry::kAuditChainValid)), log_(log) {
  valid_.set(1);
}

void AuditKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void AuditKeeper::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool AuditKeeper::sleep(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

/// False: it was stopped before.
bool AuditKeeper::record_late() {
  while (late_) {
    if (store_.record(*late_)) late_.reset();
    if (late_ && !sleep(kRecordAgain)) return false;
  }
  return true;
}

void AuditKeeper::run() {
  if (!record_late()) return;
  for (hours since_check = kCheckEvery;; since_check += kPruneEvery) {
    if (since_check >= kCheckEvery) {
      check();
      since_check = hours{0};
    }
    if (retention_) prune();
    if (!sleep(kPruneEvery)) return;
  }
}

void AuditKeeper::check() {
  const auto verdict = store_.verify_audit();
  if (!verdict) {
    log_.warning("audit_unchecked", "the audit chains could not be checked", {{"reason", verdict.error().detail}});
    return;
  }
  valid_.set(verdict->valid ? 1 : 0);
  // Kept where the logs are kept, the heads show later that an end was cut off or the whole put back.
  std::string heads;
  for (const auto& chain : verdict->chains)
    heads.append(heads.empty() ? "" : " ").append(chain.name).append("=").append(chain.head_sha256);
  if (verdict->valid)
    log_.info("audit_checked", "every audit chain holds", {{"records", verdict->records}, {"heads", heads}});
  else
    log_.error("audit_broken", "an audit chain does not hold", {{"first_bad", verdict->first_bad.value_or("")}});
}

void AuditKeeper::prune() {
  const auto age = std::chrono::duration_cast<std::chrono::microseconds>(*retention_);
  const auto removed = store_.prune_audit({system_now().count - age.count()}, "system");
  if (!removed)
    log_.warning("audit_unpruned", "old audit records could not be removed", {{"reason", removed.error().detail}});
  else if (*removed > 0)
    log_.info("audit_pruned", "audit records past the retention were removed", {{"records", *removed}});
}

}  // namespace detection::app
