#pragma once
// A store around another, for tests that change one of its answers.

#include <memory>
#include <utility>

#include "store/store.hpp"

namespace detection::http {

class ForwardingStore : public store::Store {
 public:
  explicit ForwardingStore(std::unique_ptr<store::Store> inner) : inner_(std::move(inner)) {}

  bool submit(std::unique_ptr<store::CommitJob>& job) override { return inner_->submit(job); }
  Result<std::optional<store::StoredDetection>> find(const Uuid& id) override { return inner_->find(id); }
  Result<store::DeliveryStatus> delivery_status(const Uuid& id) override { return inner_->delivery_status(id); }
  Result<store::ListPage> list(const store::ListFilter& filter, std::optional<std::int64_t> before,
                               std::size_t limit) override {
    return inner_->list(filter, before, limit);
  }
  Result<void> open_sink(std::string_view sink, const store::QueueLimits& limits) override {
    return inner_->open_sink(sink, limits);
  }
  Result<store::Claim> claim(std::string_view sink, std::size_t limit) override { return inner_->claim(sink, limit); }
  void shorten(store::Claim& claim, std::size_t count) override { inner_->shorten(claim, count); }
  Result<void> confirm(const store::Claim& claim, store::Confirmation how, UtcMicros sent,
                       const std::vector<store::Omission>& omitted) override {
    return inner_->confirm(claim, how, sent, omitted);
  }
  void give_back(const store::Claim& claim) override { inner_->give_back(claim); }
  Result<void> mark_dead(const store::Claim& claim, std::int64_t sequence, std::string_view reason) override {
    return inner_->mark_dead(claim, sequence, reason);
  }
  Result<std::vector<store::SinkQueue>> sink_queues() override { return inner_->sink_queues(); }
  Result<store::DeadLetterPage> dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                             std::size_t limit) override {
    return inner_->dead_letters(sink, before, limit);
  }
  Result<std::int64_t> retry_dead_letters(std::string_view sink, std::string_view actor) override {
    return inner_->retry_dead_letters(sink, actor);
  }
  Result<Verified> verify(const Verification& verification) override { return inner_->verify(verification); }
  Result<void> record(const store::AuditEntry& entry) override { return inner_->record(entry); }
  Result<std::vector<store::AuditEvent>> timeline(const Uuid& id) override { return inner_->timeline(id); }
  Result<store::AuditVerdict> verify_audit() override { return inner_->verify_audit(); }
  Result<store::AuditPage> search_audit(const store::AuditFilter& filter, std::string_view cursor,
                                        std::size_t limit) override {
    return inner_->search_audit(filter, cursor, limit);
  }
  Result<void> export_audit(const std::function<bool(const store::AuditRecordText&)>& each) override {
    return inner_->export_audit(each);
  }
  Result<std::int64_t> prune_audit(UtcMicros before, std::string_view actor) override {
    return inner_->prune_audit(before, actor);
  }
  void set_tombstone_signer(store::TombstoneSigner signer) override { inner_->set_tombstone_signer(std::move(signer)); }
  Result<void> put_api_key(const store::ApiKeyRecord& key, const store::AuditEntry& entry,
                           const std::optional<Sha256>& instead_of) override {
    return inner_->put_api_key(key, entry, instead_of);
  }
  Result<std::vector<store::ApiKeyRecord>> api_keys() override { return inner_->api_keys(); }
  Result<void> touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) override {
    return inner_->touch_api_keys(used);
  }
  Result<void> revoke_token(const store::RevokedToken& token, const store::AuditEntry& entry) override {
    return inner_->revoke_token(token, entry);
  }
  Result<std::vector<store::RevokedToken>> revoked_tokens() override { return inner_->revoked_tokens(); }
  Result<std::string> feed_head() override { return inner_->feed_head(); }
  Result<store::FeedPage> feed(std::string_view cursor, std::size_t limit) override {
    return inner_->feed(cursor, limit);
  }
  Result<std::optional<std::string>> active_slot() override { return inner_->active_slot(); }
  Result<void> set_active_slot(std::string_view slot, std::string_view actor) override {
    return inner_->set_active_slot(slot, actor);
  }
  Result<std::vector<store::SharedUsage>> share_usage(const std::vector<store::SharedUsage>& spent) override {
    return inner_->share_usage(spent);
  }
  void on_commit(std::function<void()> listener) override { inner_->on_commit(std::move(listener)); }
  void on_due(std::function<void()> listener) override { inner_->on_due(std::move(listener)); }
  store::StoreStatus status() override { return inner_->status(); }
  void close() override { inner_->close(); }

 protected:
  std::unique_ptr<store::Store> inner_;
};

}  // namespace detection::http
