#pragma once
// A store of API keys and revocations in memory, for tests and benchmarks of this room; the rest of it says no.

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "store/store.hpp"

namespace detection::security::testing {

class MemoryStore final : public store::Store {
 public:
  // What the tests look at and change; under mutex().
  std::vector<store::ApiKeyRecord> keys;
  std::vector<store::RevokedToken> revoked;
  std::vector<store::AuditEntry> entries;
  std::vector<std::pair<std::string, UtcMicros>> touched;
  bool away = false;
  [[nodiscard]] std::mutex& mutex() { return mutex_; }

  Result<void> put_api_key(const store::ApiKeyRecord& key, const store::AuditEntry& entry,
                           const std::optional<Sha256>& instead_of) override {
    const std::scoped_lock lock(mutex_);
    if (away) return no();
    const auto old = std::find_if(keys.begin(), keys.end(), [&](const auto& one) { return one.id == key.id; });
    if (instead_of && (old == keys.end() || old->secret_sha256 != *instead_of || old->revoked))
      return fail(ErrorCode::kConflict, "the API key was changed meanwhile");
    if (old == keys.end())
      keys.push_back(key);
    else
      *old = key;
    entries.push_back(entry);
    return {};
  }
  Result<std::vector<store::ApiKeyRecord>> api_keys() override {
    const std::scoped_lock lock(mutex_);
    if (away) return no();
    return keys;
  }
  Result<void> touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) override {
    const std::scoped_lock lock(mutex_);
    if (away) return no();
    touched.insert(touched.end(), used.begin(), used.end());
    return {};
  }
  Result<void> revoke_token(const store::RevokedToken& token, const store::AuditEntry& entry) override {
    const std::scoped_lock lock(mutex_);
    if (away) return no();
    revoked.push_back(token);
    entries.push_back(entry);
    return {};
  }
  Result<std::vector<store::RevokedToken>> revoked_tokens() override {
    const std::scoped_lock lock(mutex_);
    if (away) return no();
    return revoked;
  }

  bool submit(std::unique_ptr<store::CommitJob>&) override { return false; }
  Result<std::optional<store::StoredDetection>> find(const Uuid&) override { return no(); }
  Result<store::DeliveryStatus> delivery_status(const Uuid&) override { return no(); }
  Result<store::ListPage> list(const store::ListFilter&, std::optional<std::int64_t>, std::size_t) override {
    return no();
  }
  Result<void> open_sink(std::string_view, const store::QueueLimits&) override { return no(); }
  Result<store::Claim> claim(std::string_view, std::size_t) override { return no(); }
  void shorten(store::Claim&, std::size_t) override {}
  Result<void> confirm(const store::Claim&, store::Confirmation, UtcMicros,
                       const std::vector<store::Omission>&) override {
    return no();
  }
  void give_back(const store::Claim&) override {}
  Result<void> mark_dead(const store::Claim&, std::int64_t, std::string_view) override { return no(); }
  Result<std::vector<store::SinkQueue>> sink_queues() override { return no(); }
  Result<store::DeadLetterPage> dead_letters(std::string_view, std::optional<std::int64_t>, std::size_t) override {
    return no();
  }
  Result<std::int64_t> retry_dead_letters(std::string_view, std::string_view) override { return no(); }
  Result<Verified> verify(const Verification&) override { return no(); }
  Result<void> record(const store::AuditEntry&) override { return no(); }
  Result<std::vector<store::AuditEvent>> timeline(const Uuid&) override { return no(); }
  Result<store::AuditVerdict> verify_audit() override { return no(); }
  Result<store::AuditPage> search_audit(const store::AuditFilter&, std::string_view, std::size_t) override {
    return no();
  }
  Result<void> export_audit(const std::function<bool(const store::AuditRecordText&)>&) override { return no(); }
  Result<std::int64_t> prune_audit(UtcMicros, std::string_view) override { return no(); }
  void set_tombstone_signer(store::TombstoneSigner) override {}
  Result<std::string> feed_head() override { return no(); }
  Result<store::FeedPage> feed(std::string_view, std::size_t) override { return no(); }
  Result<std::optional<std::string>> active_slot() override { return no(); }
  Result<void> set_active_slot(std::string_view, std::string_view) override { return no(); }
  Result<std::vector<store::SharedUsage>> share_usage(const std::vector<store::SharedUsage>&) override { return no(); }
  void on_commit(std::function<void()>) override {}
  void on_due(std::function<void()>) override {}
  store::StoreStatus status() override { return {}; }
  void close() override {}

 private:
  static std::unexpected<Error> no() { return fail(ErrorCode::kStoreUnavailable, "the store is away"); }
  std::mutex mutex_;
};

}  // namespace detection::security::testing
