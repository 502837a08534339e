#pragma once
// A store over the record's logic: what every engine does the same way. An engine derives from it, makes its
// connections, and says what is special (a writer beside others, the fence).

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/sql/outbox.hpp"
#include "store/sql/reader_pool.hpp"
#include "store/sql/verify.hpp"
#include "store/sql/writer.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

/// What only a process has that accepts and delivers.
struct WriteSide {
  WriteSide(Database db, std::string chain, Backend& backend, Clock clock, telemetry::Metrics* metrics,
            ReaderPool& readers, SinkLeases* leases)
      : writer(std::move(db), std::move(chain), backend, clock, metrics),
        outbox(writer, readers, static_cast<std::uint64_t>(system_now().count), leases) {}
  Writer writer;
  Outbox outbox;
};

class RecordStore : public Store {
 public:
  [[nodiscard]] bool submit(std::unique_ptr<CommitJob>& job) override;
  [[nodiscard]] Result<std::optional<StoredDetection>> find(const Uuid& id) override;
  [[nodiscard]] Result<DeliveryStatus> delivery_status(const Uuid& id) override;
  [[nodiscard]] Result<ListPage> list(const ListFilter& filter, std::optional<std::int64_t> before,
                                      std::size_t limit) override;
  [[nodiscard]] Result<void> open_sink(std::string_view sink, const QueueLimits& limits) override;
  [[nodiscard]] Result<Claim> claim(std::string_view sink, std::size_t limit) override;
  void shorten(Claim& claim, std::size_t count) override;
  [[nodiscard]] Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                                     const std::vector<Omission>& omitted) override;
  void give_back(const Claim& claim) override;
  [[nodiscard]] Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) override;
  [[nodiscard]] Result<std::vector<SinkQueue>> sink_queues() override;
  [[nodiscard]] Result<DeadLetterPage> dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                                    std::size_t limit) override;
  [[nodiscard]] Result<std::int64_t> retry_dead_letters(std::string_view sink, std::string_view actor) override;
  [[nodiscard]] Result<Verified> verify(const Verification& verification) override;
  [[nodiscard]] Result<void> record(const AuditEntry& entry) override;
  [[nodiscard]] Result<std::vector<AuditEvent>> timeline(const Uuid& id) override;
  [[nodiscard]] Result<AuditVerdict> verify_audit() override;
  [[nodiscard]] Result<AuditPage> search_audit(const AuditFilter& filter, std::string_view cursor,
                                               std::size_t limit) override;
  [[nodiscard]] Result<void> export_audit(const std::function<bool(const AuditRecordText&)>& each) override;
  [[nodiscard]] Result<std::int64_t> prune_audit(UtcMicros before, std::string_view actor) override;
  void set_tombstone_signer(TombstoneSigner signer) override;
  [[nodiscard]] Result<void> put_api_key(const ApiKeyRecord& key, const AuditEntry& entry,
                                         const std::optional<Sha256>& instead_of) override;
  [[nodiscard]] Result<std::vector<ApiKeyRecord>> api_keys() override;
  [[nodiscard]] Result<void> touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) override;
  [[nodiscard]] Result<void> revoke_token(const RevokedToken& token, const AuditEntry& entry) override;
  [[nodiscard]] Result<std::vector<RevokedToken>> revoked_tokens() override;
  [[nodiscard]] Result<std::string> feed_head() override;
  [[nodiscard]] Result<FeedPage> feed(std::string_view cursor, std::size_t limit) override;
  [[nodiscard]] Result<std::optional<std::string>> active_slot() override;
  [[nodiscard]] Result<void> set_active_slot(std::string_view slot, std::string_view actor) override;
  void on_commit(std::function<void()> listener) override;
  void on_due(std::function<void()> listener) override;

 protected:
  RecordStore(ReaderPool::Connect connect, std::size_t readers, Clock clock, ReaderPool::Watch watch = {})
      : clock_(clock), readers_(std::move(connect), readers, std::move(watch)) {}

  /// Opens the first reader, so that what is wrong shows at the start.
  [[nodiscard]] Result<void> try_reading();
  /// One transaction of this process; read_only() where it has none.
  [[nodiscard]] virtual Result<void> commit(Writer::Work work);
  virtual void count_audit(std::string_view type, std::string_view severity);
  [[nodiscard]] virtual StructureCheck structure_check() const { return {}; }
  [[nodiscard]] static std::unexpected<Error> read_only() {
    return fail(ErrorCode::kStoreUnavailable, "the store was opened for reading");
  }
  /// Ends a check that runs; whether it is the first call.
  [[nodiscard]] bool begin_closing() { return !closing_.exchange(true); }

  const Clock clock_;
  // In the order of their ends: the writer before its readers.
  ReaderPool readers_;
  std::unique_ptr<WriteSide> write_;

 private:
  template <class Use>
  auto with_reader(Use use, bool limited = true) -> decltype(use(std::declval<Database&>()));
  template <class Work>
  [[nodiscard]] Result<void> commit_with(const AuditEntry& entry, Work work);
  [[nodiscard]] TombstoneSigner signer();
  [[nodiscard]] std::optional<std::vector<std::string>> sinks() const;

  std::atomic<bool> closing_{false};
  std::mutex signer_mutex_;
  TombstoneSigner signer_;
};

}  // namespace detection::store::sql
