#include "http/auth_watch.hpp"

#include <numeric>

#include "detection/json_writer.hpp"

namespace detection::http {
namespace {

constexpr std::chrono::seconds kTurn{1};

template <class Counts>
std::uint64_t sum(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

template <class Counts>
store::AuditEntry entry_of(std::string_view address, const Counts& counts) {
  store::AuditEntry entry;
  entry.type = "auth_failure";
  entry.severity = "WARNING";
  entry.actor = address;
  entry.detail_json.clear();
  json::Writer w(entry.detail_json);
  w.begin_object();
  w.key("address");
  w.string(address);
  w.key("failures");
  w.integer(sum(counts));
  w.key("reasons");
  w.begin_object();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    w.key(auth_failure_name(static_cast<AuthFailure>(i)));
    w.integer(counts[i]);
  }
  w.end_object();
  w.end_object();
  return entry;
}

}  // namespace

std::string_view auth_failure_name(AuthFailure reason) noexcept {
  switch (reason) {
    case AuthFailure::kMissing: return "missing";
    case AuthFailure::kInvalid: return "invalid";
    case AuthFailure::kInsufficientScope: return "insufficient_scope";
    case AuthFailure::kClient: return "invalid_client";
    case AuthFailure::kRateLimited: return "rate_limited";
  }
  return "invalid";
}

bool AuthLedger::note(const ClientNetwork& network, AuthFailure reason, Time now) {
  const auto which = static_cast<std::size_t>(reason);
  auto found = entries_.find(network);
  if (found == entries_.end()) {
    if (entries_.size() >= limits_.addresses_most) {
      ++others_[which];
      return false;
    }
    found = entries_.emplace(network, Entry{.next = now}).first;
  }
  ++found->second.counts[which];
  return found->second.fresh && found->second.next <= now;
}

bool AuthLedger::spend(Time now) {
  if (now - window_began_ >= limits_.window) {
    window_began_ = now;
    spent_ = 0;
  }
  if (spent_ >= limits_.records_most) return false;
  ++spent_;
  return true;
}

std::vector<store::AuditEntry> AuthLedger::due(Time now, bool all) {
  std::vector<store::AuditEntry> entries;
  for (auto at = entries_.begin(); at != entries_.end();) {
    auto& [network, entry] = *at;
    const bool counted = sum(entry.counts) > 0;
    if (!all && now < entry.next) {
      ++at;
      continue;
    }
    if (!counted) {
      at = entries_.erase(at);  // quiet for a window
      continue;
    }
    if (spend(now)) {
      entries.push_back(entry_of(network_text(network), entry.counts));
    } else {
      for (std::size_t i = 0; i < others_.size(); ++i) others_[i] += entry.counts[i];
    }
    entry = {.counts = {}, .next = now + limits_.window, .fresh = false};
    ++at;
  }
  if (sum(others_) > 0 && (all || now >= others_next_)) {
    entries.push_back(entry_of("others", others_));
    others_ = {};
    others_next_ = now + limits_.window;
  }
  return entries;
}

bool AuthLedger::pending() const {
  return !entries_.empty() || sum(others_) > 0;
}

AuthWatch::AuthWatch(store::Store& store, telemetry::Log& log, AuthWatchLimits limits)
    : store_(store), log_(log), ledger_(limits), thread_([this] { run(); }) {}

void AuthWatch::failed(const ClientAddress& client, AuthFailure reason) {
  {
    const std::scoped_lock lock(mutex_);
    // What is not urgent waits for the thread's next turn: it turns as long as something is pending.
    if (!ledger_.note(network_of(client), reason, std::chrono::steady_clock::now())) return;
    urgent_ = true;
  }
  wake_.notify_one();
}

void AuthWatch::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void AuthWatch::run() {
  std::unique_lock lock(mutex_);
  const auto called = [this] { return urgent_ || stopping_; };
  for (bool last = false; !last;) {
    if (ledger_.pending())
      wake_.wait_for(lock, kTurn, called);
    else
      wake_.wait(lock, called);
    last = stopping_;
    urgent_ = false;
    auto entries = ledger_.due(std::chrono::steady_clock::now(), last);
    lock.unlock();
    write(entries);
    lock.lock();
  }
}

void AuthWatch::write(const std::vector<store::AuditEntry>& entries) {
  for (const auto& entry : entries)
    if (const auto recorded = store_.record(entry); !recorded)
      log_.warning("auth_failure_unrecorded", "failed authentications could not be audited",
                   {{"reason", recorded.error().detail}, {"failures", std::string_view(entry.detail_json)}});
}

}  // namespace detection::http
