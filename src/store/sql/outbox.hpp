#pragma once
// The outbox as claims over the ordered log, and over what is due beside it (outbox_retries.hpp). Durable is one cursor
// for each sink (all up to it is done with), the ranges delivered beyond it, the dead letters, and the retries; what is
// claimed and not yet confirmed is known to this process alone, so that after a kill it is due again by itself. (Where
// several processes could deliver, all of that is known under a lease of the sink: sink_leases.hpp.) What
// was left out for a sink counts as done with, like what was delivered, and stands in ranges of its own
// (omissions.hpp).

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "store/sql/omissions.hpp"
#include "store/sql/outbox_retries.hpp"
#include "store/sql/reader_pool.hpp"
#include "store/sql/sink_leases.hpp"
#include "store/sql/spans.hpp"
#include "store/sql/writer.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

class Outbox {
 public:
  /// `first_claim`: numbers of claims go on from it, so that one of an earlier process is not taken for a live one.
  /// `leases`: where other processes could deliver as well.
  Outbox(Writer& writer, ReaderPool& readers, std::uint64_t first_claim, SinkLeases* leases = nullptr)
      : writer_(writer), readers_(readers), leases_(leases), last_claim_(first_claim) {}

  [[nodiscard]] Result<void> open_sink(std::string_view name, const QueueLimits& limits);
  [[nodiscard]] Result<Claim> claim(std::string_view sink, std::size_t limit);
  void shorten(Claim& claim, std::size_t count);
  [[nodiscard]] Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                                     const std::vector<Omission>& omitted);
  void give_back(const Claim& claim);
  [[nodiscard]] Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason);
  /// Those that were opened: a sink that is no longer configured has no say in what is delivered.
  [[nodiscard]] std::vector<std::string> sinks() const;
  /// Whether a claim of it has not ended yet.
  [[nodiscard]] bool has_live_claims(std::string_view sink) const;

 private:
  struct LiveClaim {
    Span span;  ///< what it covers of the log, with the rows in it that are not due
    std::vector<std::int64_t> sequences;
    std::vector<Retry> retries;
    bool busy = false;   ///< being made, being confirmed, or one of it marked dead
    bool doubt = false;  ///< of an end that was not answered: it may be in the store
  };
  /// Where a sink stands. Held by its own mutex: couriers of different sinks do not wait for each other.
  struct Sink {
    std::mutex mutex;
    std::string name;
    std::int64_t number = 0;
    std::int64_t epoch = 0;       ///< of the lease under which the rest is known
    std::int64_t cursor = 0;      ///< all up to here is done with
    std::int64_t next = 0;        ///< behind it nothing was ever claimed
    Spans due_again;              ///< up to `next`: given back, or left over by the last process
    Spans done;                   ///< beyond the cursor
    std::set<std::int64_t> dead;  ///< beyond the cursor: the log no longer has them to give; with those tried again
    std::map<std::uint64_t, LiveClaim> live;
    std::set<std::int64_t> retries_in_flight;  ///< of live claims
    bool retries_have_turn = true;             ///< where a claim is of one event only

    [[nodiscard]] SinkName named() const { return {number, name}; }
    void forget() {
      cursor = next = epoch = 0;
      due_again = done = {};
      dead.clear();
      live.clear();
      retries_in_flight.clear();
    }
  };
  /// How a claim ends: what of the log was delivered and what left out, and the rows beside the log.
  struct Ending {
    Span span;
    std::vector<Span> delivered;
    std::vector<OmittedRange> omitted;
    std::vector<Retry> retries;
    std::int64_t delivered_count = 0, omitted_count = 0;  ///< of the log
  };
  /// A claim that is not yet given out.
  struct Taken {
    Claim claim;
    std::vector<OutboxItem> to_ask;  ///< retries that need leave; they are not among the claim's items yet
    std::int64_t epoch = 0;
  };

  [[nodiscard]] Result<std::shared_ptr<Sink>> find(std::string_view name) const;
  [[nodiscard]] static Result<void> load(Database& db, Sink& sink);
  [[nodiscard]] Result<std::optional<SinkLeases::Lease>> hold(Sink& sink);
  [[nodiscard]] Result<std::int64_t> head(Database& db) const;
  [[nodiscard]] static Result<std::vector<OutboxItem>> read(Database& db, const Sink& sink, Span span,
                                                            std::size_t limit);
  [[nodiscard]] Result<Taken> take(Sink& sink, std::size_t limit);
  [[nodiscard]] Result<std::vector<OutboxItem>> take_of_log(Database& db, Sink& sink, std::size_t limit, Span& covered);
  [[nodiscard]] Result<void> ask_leave(Sink& sink, Taken& taken);
  static void forget_retries(Sink& sink, const std::vector<Retry>& retries);
  [[nodiscard]] static Ending ending_of(const Sink& sink, const LiveClaim& live, const std::vector<Omission>& omitted);
  [[nodiscard]] static Result<bool> is_recorded(Database& db, const Sink& sink, const Ending& ending);
  static void finish(Sink& sink, Span span);
  [[nodiscard]] static std::int64_t cursor_after(const Sink& sink, Span span);
  [[nodiscard]] Result<LiveClaim*> begin_ending(Sink& sink, const Claim& claim);

  Writer& writer_;
  ReaderPool& readers_;
  SinkLeases* leases_;
  std::atomic<std::uint64_t> last_claim_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Sink>, std::less<>> sinks_;
};

/// How full the queues are. `sinks`: those to speak of; none: all that the store knows. `writer`: counts the log's rows
/// along; none: they are counted here.
[[nodiscard]] Result<std::vector<SinkQueue>> stored_queues(Database& db,
                                                           const std::optional<std::vector<std::string>>& sinks,
                                                           const Writer* writer);

/// As Store::dead_letters().
[[nodiscard]] Result<DeadLetterPage> dead_letters(Database& db, std::string_view sink,
                                                  std::optional<std::int64_t> before, std::size_t limit);

/// A sink that the store knows, opened or not (else kNotFound). Several commits when there are many.
[[nodiscard]] Result<std::int64_t> retry_dead_letters(Writer& writer, std::string_view sink, std::string_view actor);

}  // namespace detection::store::sql
