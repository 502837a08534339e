#pragma once
// The durable record: detections, the outbox spoken of in claims, the audit chain. One interface, several engines
// (sqlite/ now, postgres/ later); tests/contract runs one suite against each.
//
// Threads: every function may be called from any thread. submit() never blocks; the others may wait for the disk.
// Failures are values; a failed commit acknowledges nobody.

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
};

struct StoredDetection {
  std::int64_t sequence = 0;  ///< position in the ordered log, from 1, gapless in commit order
  LocatedDetection located;
  Disposition disposition = Disposition::kQueue;
  std::string request_json;
  Sha256 content_sha256{};
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
  /// kStoreUnavailable or kCapacityExceeded; kInternal when the job itself cannot be stored (a number that is not
  /// finite, say): trying again does not help.
  std::optional<Error> error;
};

struct OutboxItem {
  std::int64_t sequence = 0;
  LocatedDetection located;
};

/// A batch taken for one sink by one courier. It ends by confirm() or give_back(); a claim that its process does not
/// live to end is due again (SQLite: at the next start; PostgreSQL: when its lease is over).
struct Claim {
  std::string sink;
  std::uint64_t number = 0;  ///< names the claim within its store
  std::vector<OutboxItem> items;
};

/// How a sink knows that a batch arrived.
enum class Confirmation : std::uint8_t {
  kConfirmed,        ///< the peer answered the ping that followed it
  kSentUnconfirmed,  ///< the peer's TCP acknowledged it, but it never answers pings
};

enum class DeliveryState : std::uint8_t { kQueued, kHeld, kDelivered, kRejected, kDeadLetter, kDiscarded, kSpooled };
[[nodiscard]] std::string_view delivery_state_name(DeliveryState state) noexcept;
[[nodiscard]] std::optional<DeliveryState> parse_delivery_state(std::string_view name) noexcept;

struct DeliveryStatus {
  DeliveryState state = DeliveryState::kQueued;  ///< of the whole: delivered when every sink has it
  std::vector<std::pair<std::string, DeliveryState>> sinks;
};

/// One sink's queue.
struct SinkQueue {
  std::string sink;
  std::int64_t queued = 0;
  std::int64_t delivered = 0;  ///< since the store was made
  std::int64_t dead_letters = 0;
  std::optional<UtcMicros> oldest_queued{};  ///< when it was received
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

struct AuditVerdict {
  bool valid = true;
  std::int64_t records = 0;
  struct Chain {
    std::string name;
    std::int64_t records = 0;
    std::string head_sha256;  ///< hex
  };
  std::vector<Chain> chains;
  std::optional<std::string> first_bad{};  ///< which record and why
};

struct StoreStatus {
  bool writable = false;
  std::string reason;           ///< when it is not
  std::int64_t detections = 0;  ///< highest sequence
  std::size_t waiting = 0;      ///< jobs in front of the writer
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
  /// later one with what is accepted from now on. A known sink goes on where it was.
  [[nodiscard]] virtual Result<void> open_sink(std::string_view sink) = 0;
  /// Up to `limit` events that are due, oldest first; empty when there are none. Claims of one sink may overlap in
  /// time.
  [[nodiscard]] virtual Result<Claim> claim(std::string_view sink, std::size_t limit) = 0;
  /// Durable when it returns. `sent` is when the batch left.
  [[nodiscard]] virtual Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent) = 0;
  /// Its events are due again at once, in order.
  virtual void give_back(const Claim& claim) = 0;
  /// Takes one event of a live claim out of the queue for good (until it is retried); the rest of the claim stays.
  [[nodiscard]] virtual Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) = 0;
  [[nodiscard]] virtual Result<std::vector<SinkQueue>> sink_queues() = 0;

  /// Durable when it returns.
  [[nodiscard]] virtual Result<void> record(const AuditEntry& entry) = 0;
  /// The events of one detection in order of time.
  [[nodiscard]] virtual Result<std::vector<AuditEvent>> timeline(const Uuid& id) = 0;
  /// Walks every chain and holds each acceptance against its detection.
  [[nodiscard]] virtual Result<AuditVerdict> verify_audit() = 0;

  /// Called (on the writer's thread) after each commit that made something due; must not block.
  virtual void on_due(std::function<void()> listener) = 0;
  [[nodiscard]] virtual StoreStatus status() = 0;
  /// Commits what was submitted, then refuses more; ends a verify_audit() that runs. Idempotent.
  virtual void close() = 0;
};

}  // namespace detection::store
