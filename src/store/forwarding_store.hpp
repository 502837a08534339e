#pragma once
// A store around another: each call goes to target() unless a derived class says otherwise. Where there is no target
// (yet), what needs one fails with absence(), listeners and the like are ignored.

#include <utility>

#include "store/store.hpp"

namespace detection::store {

class ForwardingStore : public Store {
 public:
  bool submit(std::unique_ptr<CommitJob>& job) override;
  Result<std::optional<StoredDetection>> find(const Uuid& id) override;
  Result<DeliveryStatus> delivery_status(const Uuid& id) override;
  Result<ListPage> list(const ListFilter& filter, std::optional<std::int64_t> before, std::size_t limit) override;
  using Store::open_sink;
  Result<void> open_sink(std::string_view sink, const QueueLimits& limits) override;
  Result<Claim> claim(std::string_view sink, std::size_t limit) override;
  void shorten(Claim& claim, std::size_t count) override;
  using Store::confirm;
  Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                       const std::vector<Omission>& omitted) override;
  void give_back(const Claim& claim) override;
  Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) override;
  Result<std::vector<SinkQueue>> sink_queues() override;
  Result<DeadLetterPage> dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                      std::size_t limit) override;
  Result<std::int64_t> retry_dead_letters(std::string_view sink, std::string_view actor) override;
  Result<Verified> verify(const Verification& verification) override;
  Result<void> record(const AuditEntry& entry) override;
  Result<std::vector<AuditEvent>> timeline(const Uuid& id) override;
  Result<AuditVerdict> verify_audit() override;
  Result<AuditPage> search_audit(const AuditFilter& filter, std::string_view cursor, std::size_t limit) override;
  Result<void> export_audit(const std::function<bool(const AuditRecordText&)>& each) override;
  Result<std::int64_t> prune_audit(UtcMicros before, std::string_view actor) override;
  void set_tombstone_signer(TombstoneSigner signer) override;
  Result<void> put_api_key(const ApiKeyRecord& key, const AuditEntry& entry,
                           const std::optional<Sha256>& instead_of) override;
  Result<std::vector<ApiKeyRecord>> api_keys() override;
  Result<void> touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) override;
  Result<void> revoke_token(const RevokedToken& token, const AuditEntry& entry) override;
  Result<std::vector<RevokedToken>> revoked_tokens() override;
  Result<std::string> feed_head() override;
  Result<FeedPage> feed(std::string_view cursor, std::size_t limit) override;
  void on_commit(std::function<void()> listener) override;
  Result<std::optional<std::string>> active_slot() override;
  Result<void> set_active_slot(std::string_view slot, std::string_view actor) override;
  Result<std::vector<SharedUsage>> share_usage(const std::vector<SharedUsage>& spent) override;
  void on_due(std::function<void()> listener) override;
  StoreStatus status() override;
  void close() override;

 protected:
  /// Any thread. Once there, it stays until the end of this object.
  [[nodiscard]] virtual Store* target() const noexcept = 0;
  /// Why there is no target: kStoreUnavailable.
  [[nodiscard]] virtual Error absence() const;
};

}  // namespace detection::store
