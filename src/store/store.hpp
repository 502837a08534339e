#pragma once
// The durable record: detections, the outbox spoken of in claims, the audit chain. One interface, two engines
// (sqlite/, postgres/) over one logic (sql/); tests/contract runs one suite against each.
//
// Threads: every function may be called from any thread. submit() never blocks; the others may wait for the disk.
// Failures are values; a failed commit acknowledges nobody.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "detection/record.hpp"

namespace detection::store {

/// What becomes of a detection at acceptance.
enum class Disposition : std::uint8_t {
  kQueue,    ///< to every sink
  kHold,     ///< for a person's decision first (RED)
  kDiscard,  ///< never leaves (exercise)
};

/// When each step of an acceptance was done; written as one audit record.
struct AcceptanceTimes {
  UtcMicros received{}, validated{}, located{}, cot_made{};
};

/// One detection on its way in.
struct Acceptance {
  LocatedDetection located;
  Disposition disposition = Disposition::kQueue;
  std::string request_json;  ///< the normalised request, valid JSON text; kept as it is
  Sha256 content_sha256{};   ///< of request_json: same id and same content is a repeat, other content a conflict
  AcceptanceTimes times{};
  std::string actor;       ///< who sent it (the token's subject)
  std::string request_id;  ///< for the audit
  std::string trace_id;    ///< of the caller's trace (W3C Trace Context); empty where it has none
};

/// What a person decided about a held detection; the latest one counts.
struct Decision {
  bool verified = false;  ///< true: released to TAK, false: rejected
  std::string notes;
  std::string actor;
  UtcMicros at{};
};

struct StoredDetection {
  std::int64_t sequence = 0;  ///< position in the ordered log, from 1, gapless in commit order
  LocatedDetection located;
  Disposition disposition = Disposition::kQueue;
  std::string request_json;
  Sha256 content_sha256{};
  std::optional<Decision> decision{};  ///< only of held ones
};

enum class CommitOutcome : std::uint8_t { kCreated, kRepeated, kConflict };

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::kCreated;
  std::int64_t sequence = 0;
  /// kRepeated only: what was stored the first time (its answer is given again).
  std::unique_ptr<StoredDetection> first;
};

struct CommitJob;

/// Where finished jobs go back to: one object per HTTP thread, called once for each commit with all its jobs, on the
/// writer's thread. Must not block or throw.
class CommitHome {
 public:
  virtual void committed(std::vector<std::unique_ptr<CommitJob>> jobs) noexcept = 0;

 protected:
  ~CommitHome() = default;
};

/// The detections of one request: all are durable when it comes back without an error, or none of them is.
struct CommitJob {
  std::vector<Acceptance> items;
  CommitHome* home = nullptr;
  void* context = nullptr;            ///< the caller's own
  std::vector<CommitResult> results;  ///< one per item, in order, when there is no error
  /// Durable in the spool of this process only, until the store takes it (spool/). Results then have no sequence.
  bool spooled = false;
  /// kStoreUnavailable or kCapacityExceeded; kInternal when the job itself cannot be stored (a number that is not
  /// finite, say): trying again does not help.
  std::optional<Error> error;
};

struct OutboxItem {
  std::int64_t sequence = 0;
  LocatedDetection located;
  /// Rejected after it was released: what goes to TAK is a delete event (t-x-d-d) for its uid.
  bool take_back = false;
  /// A person asked for it: released, or a dead letter that is tried again. It is never superseded or stale.
  bool guaranteed = false;
};

/// Why a sink does not get an event that was due to it.
enum class OmitReason : std::uint8_t {
  kFiltered,    ///< the sink's filter
  kSuperseded,  ///< a newer event of the same uid was due too
  kStale,       ///< too old by then
};
[[nodiscard]] std::string_view omit_reason_name(OmitReason reason) noexcept;

struct Omission {
  std::int64_t sequence = 0;
  OmitReason reason = OmitReason::kFiltered;
};

/// A batch taken for one sink by one courier. It ends by confirm() or give_back(); a claim that its process does not
/// live to end is due again (SQLite: at the next start; PostgreSQL: when its lease is over).
struct Claim {
  std::string sink;
  std::uint64_t number = 0;  ///< names the claim within its store
  std::vector<OutboxItem> items;
  /// Nothing of it may be sent after this moment: another process may have the sink by then. None: no limit.
  std::optional<std::chrono::steady_clock::time_point> good_until{};
  bool elsewhere = false;  ///< empty, since this process has not the sink now
};

/// How a sink knows that a batch arrived.
enum class Confirmation : std::uint8_t {
  kConfirmed,        ///< the peer answered the ping that followed it
  kSentUnconfirmed,  ///< the peer's TCP acknowledged it, but it never answers pings
};

/// kDiscarded: an exercise, or (of a sink) left out: its audit events say why.
enum class DeliveryState : std::uint8_t { kQueued, kHeld, kDelivered, kRejected, kDeadLetter, kDiscarded, kSpooled };
[[nodiscard]] std::string_view delivery_state_name(DeliveryState state) noexcept;
[[nodiscard]] std::optional<DeliveryState> parse_delivery_state(std::string_view name) noexcept;

struct DeliveryStatus {
  /// Of the whole: delivered when every sink has it or left it out, discarded when all left it out.
  DeliveryState state = DeliveryState::kQueued;
  std::vector<std::pair<std::string, DeliveryState>> sinks;
};

/// How much may wait for a sink; 0: no limit.
struct QueueLimits {
  std::int64_t items = 0;
  std::int64_t bytes = 0;  ///< as SinkQueue::bytes
};

/// One sink's queue.
struct SinkQueue {
  std::string sink;
  std::int64_t queued = 0;
  /// About what these take in the store: their number times the mean of the newest detections, each counted as its
  /// texts (the request above all) and a fixed part for its other columns, its indexes and its audit record. An
  /// estimate: exact sums would cost work for each item, and a start would have to read the whole queue.
  std::int64_t bytes = 0;
  QueueLimits limits{};        ///< that hold for it
  std::int64_t delivered = 0;  ///< since the store was made
  std::int64_t omitted = 0;    ///< since the store was made
  std::int64_t dead_letters = 0;
  std::optional<UtcMicros> oldest_queued{};  ///< when it was received
};

/// An event that a sink did not get for good, until it is retried.
struct DeadLetter {
  std::int64_t sequence = 0;
  Uuid id{};
  std::string cot_uid;
  bool take_back = false;  ///< it is the delete event of a rejected detection
  UtcMicros at{};          ///< since when
  std::string reason;
};
struct DeadLetterPage {
  std::vector<DeadLetter> items;              ///< newest detection first
  std::optional<std::int64_t> next_before{};  ///< pass as `before` to go on; none at the end
};

struct BoundingBox {
  double west_deg, south_deg, east_deg, north_deg;  ///< west > east crosses the antimeridian
};

struct ListFilter {
  std::optional<BoundingBox> bbox{};
  std::optional<UtcMicros> since{};  ///< observed >= since
  std::optional<UtcMicros> until{};  ///< observed < until
  std::optional<std::string> object_class{};
  std::optional<Flag> flag{};
  std::optional<std::string> source{};
  std::optional<DeliveryState> state{};
};

struct ListPage {
  std::vector<std::pair<StoredDetection, DeliveryStatus>> items;  ///< newest first (by sequence)
  std::optional<std::int64_t> next_before{};                      ///< pass as `before` to go on; none at the end
};

/// One event of an audit timeline (a chained record may hold several).
struct AuditEvent {
  UtcMicros at{};
  std::string type;      ///< detection_received, tak_push_success, ...: design.md 4.6
  std::string severity;  ///< INFO, WARNING, ERROR
  std::string actor;
  std::string chain;
  std::int64_t record = 0;  ///< its number within the chain
  std::string detail_json;  ///< an object, maybe {}
};

/// Something that happened and is audited by itself.
struct AuditEntry {
  std::string type;
  std::string severity = "INFO";
  std::string actor{};
  std::optional<Uuid> subject{};
  std::string detail_json = "{}";
};

/// What set_active_slot() is audited as.
[[nodiscard]] AuditEntry release_entry(std::string_view slot, std::string_view actor);

struct AuditFilter {
  std::optional<std::string> type{};  ///< as in AuditEvent
  std::optional<std::string> severity{};
  std::optional<std::string> actor{};
  std::optional<Uuid> subject{};     ///< the events of one detection
  std::optional<UtcMicros> since{};  ///< at >= since
  std::optional<UtcMicros> until{};  ///< at < until
};

struct AuditPage {
  struct Item {
    AuditEvent event;
    std::optional<Uuid> subject{};
  };
  std::vector<Item> items;            ///< newest first
  std::optional<std::string> next{};  ///< opaque; pass as `cursor` to go on; none at the end
};

/// One record of a chain as it is stored, for the export: with it alone the chain can be checked elsewhere.
struct AuditRecordText {
  std::string chain;
  std::int64_t record = 0;
  std::string json;  ///< one object, no line end: every hashed column, sha256 and previous_sha256 as hex
};

/// What pruning leaves in place of the records of a chain up to one: signed by the process that pruned.
struct Tombstone {
  std::string chain;
  std::int64_t up_to_record = 0;  ///< the last one that was removed
  std::string head_sha256;        ///< hex, of that record
  std::int64_t records = 0;       ///< removed in all, by this and earlier prunings
  /// Acceptances among them, and a rolling hash (hex) over their detections, which outlive their records: see
  /// verify_audit().
  std::int64_t detections = 0;
  std::string detections_sha256;
  UtcMicros pruned{};
  std::string signature;  ///< over tombstone_text(); its form is the signer's affair
};
/// The text that is signed: every member but the signature, in one canonical form.
[[nodiscard]] std::string tombstone_text(const Tombstone& tombstone);

/// Signs and checks tombstones. The store knows no keys; app/ hands these in.
struct TombstoneSigner {
  std::function<Result<std::string>(std::string_view text)> sign;
  std::function<bool(std::string_view text, std::string_view signature)> verify;
};

inline constexpr std::chrono::days kAuditRetentionLeast{90};

/// An API key as it is kept: only hashes of its secret. The secret has 256 random bits, so that one SHA-256 is enough.
struct ApiKeyRecord {
  std::string id;
  std::string name;
  Sha256 secret_sha256{};
  std::optional<Sha256> previous_sha256{};    ///< of the secret before the last rotation
  std::optional<UtcMicros> previous_until{};  ///< it is good until then
  std::string scopes;                         ///< space-separated
  std::string created_by;
  UtcMicros created{};
  std::optional<UtcMicros> rotated{}, expires{}, revoked{}, last_used{};
};

/// So long a key is kept that was revoked or has expired; the audit knows it longer.
inline constexpr std::chrono::days kApiKeyKept{30};
/// The end of that time has come.
[[nodiscard]] inline bool forgotten(const ApiKeyRecord& key, UtcMicros now) noexcept {
  const auto before = now + -std::chrono::duration_cast<std::chrono::microseconds>(kApiKeyKept);
  return (key.revoked && *key.revoked < before) || (key.expires && *key.expires < before);
}

struct RevokedToken {
  std::string jti;
  UtcMicros until{};  ///< no token of that jti lives longer
};

/// What happened, in the order of the commits: the live feed. Made from the audit chains, so that it can be resumed
/// after a restart and by another process.
struct FeedEvent {
  enum class Kind : std::uint8_t { kDetection, kDelivery, kVerification };
  Kind kind = Kind::kDetection;
  std::string cursor;  ///< feed(cursor) goes on behind this event
  UtcMicros at{};
  std::optional<StoredDetection> detection{};    ///< kDetection, kVerification (with its decision)
  std::string sink{};                            ///< kDelivery
  DeliveryState state = DeliveryState::kQueued;  ///< kDelivery: delivered, discarded, dead_letter, queued (retried)
  bool taken_back = false;                       ///< kDelivery: what was delivered are delete events
  std::vector<Uuid> ids{};                       ///< kDelivery
};

struct FeedPage {
  std::vector<FeedEvent> events;
  std::string cursor;  ///< behind everything looked at, also what makes no event
  bool more = false;   ///< there is more behind it already
};

struct AuditVerdict {
  bool valid = true;
  std::int64_t records = 0;
  struct Chain {
    std::string name;
    std::int64_t records = 0;
    std::string head_sha256;        ///< hex
    std::int64_t pruned_up_to = 0;  ///< the records up to here are gone, a signed tombstone stands for them
  };
  std::vector<Chain> chains;
  std::optional<std::string> first_bad{};  ///< which record and why
};

/// What waits on this process's own disk for the store to come back.
struct SpoolStatus {
  std::int64_t items = 0, capacity_items = 0;
  std::int64_t bytes = 0, capacity_bytes = 0;
  std::optional<UtcMicros> oldest{};  ///< when it was received
  std::int64_t conflicts = 0;         ///< kept: the store has another content under their ids
  bool writable = true;               ///< its disk took what it was given last
};

/// The release fence: which slot's processes deliver.
struct ReleaseStatus {
  std::string slot;                          ///< of this process; empty: it has none and always delivers
  std::optional<std::string> active_slot{};  ///< none: no slot was ever set
  bool delivers = true;                      ///< this process may, as far as it knows now
};

/// Why a process does or does not deliver, in words.
[[nodiscard]] std::string release_words(const ReleaseStatus& release);

struct StoreStatus {
  bool writable = false;        ///< by the store itself; see `spool` for what can be taken all the same
  std::string reason;           ///< when it is not
  std::int64_t detections = 0;  ///< highest sequence
  std::size_t waiting = 0;      ///< jobs in front of the writer
  std::optional<SpoolStatus> spool{};
  ReleaseStatus release{};
};

/// What one process counted of a limit that all share (see Store::share_usage).
struct SharedUsage {
  std::string key;    ///< opaque, at most 64 bytes
  double tokens = 0;  ///< spent since the last call
};

class Store {
 public:
  virtual ~Store() = default;

  /// Hands a job to the writer. False (and the job untouched) when its queue is full. The job comes back to its home.
  [[nodiscard]] virtual bool submit(std::unique_ptr<CommitJob>& job) = 0;

  [[nodiscard]] virtual Result<std::optional<StoredDetection>> find(const Uuid& id) = 0;
  [[nodiscard]] virtual Result<DeliveryStatus> delivery_status(const Uuid& id) = 0;
  /// At most `limit` items with sequence < before (none: from the newest). A page may be short, even empty, and yet
  /// have a next_before: a filter that finds little in a long log is answered piece by piece.
  [[nodiscard]] virtual Result<ListPage> list(const ListFilter& filter, std::optional<std::int64_t> before,
                                              std::size_t limit) = 0;

  /// Makes the sink's queue known. The first sink that a store ever sees starts with everything that waits in it, a
  /// later one with what is accepted from now on. A known sink goes on where it was. From now on a job that would bring
  /// its queue over `limits` comes back with kCapacityExceeded and nothing of it stored, unless it only repeats what is
  /// stored already; what people release is queued all the same.
  [[nodiscard]] virtual Result<void> open_sink(std::string_view sink, const QueueLimits& limits) = 0;
  [[nodiscard]] Result<void> open_sink(std::string_view sink) { return open_sink(sink, QueueLimits{}); }
  /// Up to `limit` events that are due, oldest first; empty when there are none. Claims of one sink may overlap in
  /// time.
  [[nodiscard]] virtual Result<Claim> claim(std::string_view sink, std::size_t limit) = 0;
  /// Keeps the first `count` items; the others are due again at once, in order. At least one stays.
  virtual void shorten(Claim& claim, std::size_t count) = 0;
  /// Durable when it returns. `sent` is when the batch left. `omitted`: those of its items that were left out, in any
  /// order; they end with the rest, in the same transaction, with one audit record. Take-backs are never left out.
  /// kConflict: another process has had the sink since the claim, whose events are that one's now.
  [[nodiscard]] virtual Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                                             const std::vector<Omission>& omitted) = 0;
  [[nodiscard]] Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent) {
    return confirm(claim, how, sent, {});
  }
  /// Its events are due again at once, in order.
  virtual void give_back(const Claim& claim) = 0;
  /// Takes one event of a live claim out of the queue for good (until it is retried); the rest of the claim stays.
  [[nodiscard]] virtual Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) = 0;
  [[nodiscard]] virtual Result<std::vector<SinkQueue>> sink_queues() = 0;
  /// At most `limit` of a sink's with sequence < before (none: from the newest). kNotFound: no such sink.
  [[nodiscard]] virtual Result<DeadLetterPage> dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                                            std::size_t limit) = 0;
  /// The sink's dead letters are due again; how many. kNotFound: no such sink. Durable, with its audit record.
  [[nodiscard]] virtual Result<std::int64_t> retry_dead_letters(std::string_view sink, std::string_view actor) = 0;

  /// A person's decision about a held detection (design.md 4.2): held -> released (its events are queued) or rejected;
  /// rejected -> released; released -> rejected (what TAK may have is taken back). The same decision again changes
  /// nothing. kNotFound; kConflict when it was never held. Durable, with its audit record.
  struct Verification {
    Uuid id{};
    Decision decision{};
    std::string request_id{};
    std::string trace_id{};
  };
  struct Verified {
    bool changed = false;
    StoredDetection stored;
    DeliveryStatus delivery;
  };
  [[nodiscard]] virtual Result<Verified> verify(const Verification& verification) = 0;

  /// Durable when it returns.
  [[nodiscard]] virtual Result<void> record(const AuditEntry& entry) = 0;
  /// The events of one detection in order of time.
  [[nodiscard]] virtual Result<std::vector<AuditEvent>> timeline(const Uuid& id) = 0;
  /// Walks every chain and holds each acceptance against its detection.
  [[nodiscard]] virtual Result<AuditVerdict> verify_audit() = 0;
  /// kValidationFailed for a cursor that is none. A page may be short, even empty, and yet have a next.
  [[nodiscard]] virtual Result<AuditPage> search_audit(const AuditFilter& filter, std::string_view cursor,
                                                       std::size_t limit) = 0;
  /// Every record of every chain in order, tombstones first; `each` says whether to go on.
  [[nodiscard]] virtual Result<void> export_audit(const std::function<bool(const AuditRecordText&)>& each) = 0;
  /// Removes the records before `before` (at least kAuditRetentionLeast ago, else kValidationFailed) and leaves a
  /// signed tombstone for each chain, itself audited. How many records went. Never the last record of a chain.
  [[nodiscard]] virtual Result<std::int64_t> prune_audit(UtcMicros before, std::string_view actor) = 0;
  /// Without one, pruning is refused and tombstones are checked for all but their signature.
  virtual void set_tombstone_signer(TombstoneSigner signer) = 0;

  /// Adds or replaces the key of that id, with its audit record, in one transaction. With `instead_of` only a key that
  /// still has the secret of that hash and is not revoked, else kConflict: of several at once, also of several
  /// processes, one wins. Removes keys that are forgotten().
  [[nodiscard]] virtual Result<void> put_api_key(const ApiKeyRecord& key, const AuditEntry& entry,
                                                 const std::optional<Sha256>& instead_of = {}) = 0;
  [[nodiscard]] virtual Result<std::vector<ApiKeyRecord>> api_keys() = 0;  ///< by creation
  [[nodiscard]] virtual Result<void> touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) = 0;
  /// Forgets revocations that have become pointless. Known again after a restart and to other processes.
  [[nodiscard]] virtual Result<void> revoke_token(const RevokedToken& token, const AuditEntry& entry) = 0;
  [[nodiscard]] virtual Result<std::vector<RevokedToken>> revoked_tokens() = 0;

  /// Behind everything that has happened so far.
  [[nodiscard]] virtual Result<std::string> feed_head() = 0;
  /// What happened behind a cursor, at most `limit` events. kValidationFailed: not a cursor; kNotFound: what lay behind
  /// it was pruned; kConflict: it is of another store, or of the future of this one. Neither can be resumed.
  [[nodiscard]] virtual Result<FeedPage> feed(std::string_view cursor, std::size_t limit) = 0;
  /// Called (on the writer's thread, or one of the store's own) after each commit, also of another process; must not
  /// block.
  virtual void on_commit(std::function<void()> listener) = 0;

  /// The slot that delivers; none: it was never set. What is set is durable when it returns, with its audit record, and
  /// known to every process within 2 s.
  [[nodiscard]] virtual Result<std::optional<std::string>> active_slot() = 0;
  [[nodiscard]] virtual Result<void> set_active_slot(std::string_view slot, std::string_view actor) = 0;

  /// Adds what this process spent of limits that all processes share, and says what the others spent of each key since
  /// the last call (only keys they used). Not durable. A store of one process answers nothing.
  [[nodiscard]] virtual Result<std::vector<SharedUsage>> share_usage(const std::vector<SharedUsage>& spent) = 0;

  /// Called (on the writer's thread, or one of the store's own) after each commit that made something due, also of
  /// another process; may be called without a reason, must not block.
  virtual void on_due(std::function<void()> listener) = 0;
  [[nodiscard]] virtual StoreStatus status() = 0;
  /// Commits what was submitted, then refuses more; ends a verify_audit() that runs. Idempotent.
  virtual void close() = 0;
};

}  // namespace detection::store
