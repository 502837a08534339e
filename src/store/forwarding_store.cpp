#include "store/forwarding_store.hpp"

namespace detection::store {

Error ForwardingStore::absence() const {
  return {ErrorCode::kStoreUnavailable, "the database cannot be reached"};
}

bool ForwardingStore::submit(std::unique_ptr<CommitJob>& job) {
  auto* const to = target();
  return to != nullptr && to->submit(job);
}

StoreStatus ForwardingStore::status() {
  if (auto* const to = target()) return to->status();
  StoreStatus status;
  status.reason = absence().detail;
  return status;
}

Result<std::optional<StoredDetection>> ForwardingStore::find(const Uuid& id) {
  auto* const to = target();
  return to != nullptr ? to->find(id) : std::unexpected(absence());
}

Result<DeliveryStatus> ForwardingStore::delivery_status(const Uuid& id) {
  auto* const to = target();
  return to != nullptr ? to->delivery_status(id) : std::unexpected(absence());
}

Result<ListPage> ForwardingStore::list(const ListFilter& filter, std::optional<std::int64_t> before,
                                       std::size_t limit) {
  auto* const to = target();
  return to != nullptr ? to->list(filter, before, limit) : std::unexpected(absence());
}

Result<void> ForwardingStore::open_sink(std::string_view sink, const QueueLimits& limits) {
  auto* const to = target();
  return to != nullptr ? to->open_sink(sink, limits) : std::unexpected(absence());
}

Result<Claim> ForwardingStore::claim(std::string_view sink, std::size_t limit) {
  auto* const to = target();
  return to != nullptr ? to->claim(sink, limit) : std::unexpected(absence());
}

void ForwardingStore::shorten(Claim& claim, std::size_t count) {
  if (auto* const to = target()) to->shorten(claim, count);
}

Result<void> ForwardingStore::confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                                      const std::vector<Omission>& omitted) {
  auto* const to = target();
  return to != nullptr ? to->confirm(claim, how, sent, omitted) : std::unexpected(absence());
}

void ForwardingStore::give_back(const Claim& claim) {
  if (auto* const to = target()) to->give_back(claim);
}

Result<void> ForwardingStore::mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) {
  auto* const to = target();
  return to != nullptr ? to->mark_dead(claim, sequence, reason) : std::unexpected(absence());
}

Result<std::vector<SinkQueue>> ForwardingStore::sink_queues() {
  auto* const to = target();
  return to != nullptr ? to->sink_queues() : std::unexpected(absence());
}

Result<DeadLetterPage> ForwardingStore::dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                                     std::size_t limit) {
  auto* const to = target();
  return to != nullptr ? to->dead_letters(sink, before, limit) : std::unexpected(absence());
}

Result<std::int64_t> ForwardingStore::retry_dead_letters(std::string_view sink, std::string_view actor) {
  auto* const to = target();
  return to != nullptr ? to->retry_dead_letters(sink, actor) : std::unexpected(absence());
}

Result<Store::Verified> ForwardingStore::verify(const Verification& verification) {
  auto* const to = target();
  return to != nullptr ? to->verify(verification) : std::unexpected(absence());
}

Result<void> ForwardingStore::record(const AuditEntry& entry) {
  auto* const to = target();
  return to != nullptr ? to->record(entry) : std::unexpected(absence());
}

Result<std::vector<AuditEvent>> ForwardingStore::timeline(const Uuid& id) {
  auto* const to = target();
  return to != nullptr ? to->timeline(id) : std::unexpected(absence());
}

Result<AuditVerdict> ForwardingStore::verify_audit() {
  auto* const to = target();
  return to != nullptr ? to->verify_audit() : std::unexpected(absence());
}

Result<AuditPage> ForwardingStore::search_audit(const AuditFilter& filter, std::string_view cursor, std::size_t limit) {
  auto* const to = target();
  return to != nullptr ? to->search_audit(filter, cursor, limit) : std::unexpected(absence());
}

Result<void> ForwardingStore::export_audit(const std::function<bool(const AuditRecordText&)>& each) {
  auto* const to = target();
  return to != nullptr ? to->export_audit(each) : std::unexpected(absence());
}

Result<std::int64_t> ForwardingStore::prune_audit(UtcMicros before, std::string_view actor) {
  auto* const to = target();
  return to != nullptr ? to->prune_audit(before, actor) : std::unexpected(absence());
}

void ForwardingStore::set_tombstone_signer(TombstoneSigner signer) {
  if (auto* const to = target()) to->set_tombstone_signer(std::move(signer));
}

Result<void> ForwardingStore::put_api_key(const ApiKeyRecord& key, const AuditEntry& entry,
                                          const std::optional<Sha256>& instead_of) {
  auto* const to = target();
  return to != nullptr ? to->put_api_key(key, entry, instead_of) : std::unexpected(absence());
}

Result<std::vector<ApiKeyRecord>> ForwardingStore::api_keys() {
  auto* const to = target();
  return to != nullptr ? to->api_keys() : std::unexpected(absence());
}

Result<void> ForwardingStore::touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) {
  auto* const to = target();
  return to != nullptr ? to->touch_api_keys(used) : std::unexpected(absence());
}

Result<void> ForwardingStore::revoke_token(const RevokedToken& token, const AuditEntry& entry) {
  auto* const to = target();
  return to != nullptr ? to->revoke_token(token, entry) : std::unexpected(absence());
}

Result<std::vector<RevokedToken>> ForwardingStore::revoked_tokens() {
  auto* const to = target();
  return to != nullptr ? to->revoked_tokens() : std::unexpected(absence());
}

Result<std::string> ForwardingStore::feed_head() {
  auto* const to = target();
  return to != nullptr ? to->feed_head() : std::unexpected(absence());
}

Result<FeedPage> ForwardingStore::feed(std::string_view cursor, std::size_t limit) {
  auto* const to = target();
  return to != nullptr ? to->feed(cursor, limit) : std::unexpected(absence());
}

void ForwardingStore::on_commit(std::function<void()> listener) {
  if (auto* const to = target()) to->on_commit(std::move(listener));
}

Result<std::optional<std::string>> ForwardingStore::active_slot() {
  auto* const to = target();
  return to != nullptr ? to->active_slot() : std::unexpected(absence());
}

Result<void> ForwardingStore::set_active_slot(std::string_view slot, std::string_view actor) {
  auto* const to = target();
  return to != nullptr ? to->set_active_slot(slot, actor) : std::unexpected(absence());
}

Result<std::vector<SharedUsage>> ForwardingStore::share_usage(const std::vector<SharedUsage>& spent) {
  auto* const to = target();
  return to != nullptr ? to->share_usage(spent) : std::unexpected(absence());
}

void ForwardingStore::on_due(std::function<void()> listener) {
  if (auto* const to = target()) to->on_due(std::move(listener));
}

void ForwardingStore::close() {
  if (auto* const to = target()) to->close();
}

}  // namespace detection::store
