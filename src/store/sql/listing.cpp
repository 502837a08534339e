#include "store/sql/listing.hpp"

#include <algorithm>
#include <limits>
#include <variant>

#include "store/sql/delivery_view.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/limits.hpp"

namespace detection::store::sql {
namespace {

/// Conditions with what is bound to them, in order.
struct Conditions {
  std::string sql;
  std::vector<std::variant<std::int64_t, double, std::string>> values;

  template <class... Values>
  void add(std::string_view condition, Values... bound) {
    sql.append(" AND ").append(condition);
    (values.emplace_back(std::move(bound)), ...);
  }
  void bind(Query& q) const {
    for (const auto& value : values) std::visit([&q](const auto& v) { q.bind(v); }, value);
  }
};

/// How the rows are come by.
enum class Path : std::uint8_t {
  kScan,     ///< down the log, window by window
  kTimes,    ///< few rows within the times: the index finds them
  kHeld,     ///< the index of what is not in the queue
  kDecided,  ///< held ones that were decided on
  kDead,     ///< the dead letters
  kRetries,  ///< what is due beside the log
  kNothing   ///< no row can be in that state
};

struct Plan {
  Path path = Path::kScan;
  std::int64_t lowest = 1;            ///< below it nothing can match,
  bool retries_below_lowest = false;  ///< but what is due beside the log
};

void add_times(Conditions& where, const ListFilter& filter) {
  if (filter.since) where.add("observed >= ?", filter.since->count);
  if (filter.until) where.add("observed < ?", filter.until->count);
}

/// The rows within the times, by their index.
Conditions within_times(const Database& db, const ListFilter& filter) {
  Conditions times;
  add_times(times, filter);
  times.sql = (db.is_postgres() ? "SELECT seq FROM detection WHERE true"
                                : "SELECT seq FROM detection INDEXED BY detection_observed WHERE true") +
              times.sql;
  return times;
}

/// The table, and what its rows are bound to lie between; each path is told, not left to SQLite's guess.
std::string_view table_of(const Database& db, Path path) {
  if (db.is_postgres()) return "detection WHERE seq BETWEEN ? AND ?";
  switch (path) {
    case Path::kHeld: return "detection INDEXED BY detection_exceptional WHERE seq BETWEEN ? AND ?";
    case Path::kTimes:
    case Path::kDecided:
    case Path::kRetries:
    case Path::kDead: return "detection WHERE +seq BETWEEN ? AND ?";
    case Path::kScan:
    case Path::kNothing: break;
  }
  return "detection NOT INDEXED WHERE seq BETWEEN ? AND ?";
}

Conditions conditions_of(const Database& db, const ListFilter& filter, Path path) {
  Conditions where;
  if (path == Path::kTimes) {
    where = within_times(db, filter);
    where.sql = " AND seq IN (" + where.sql + ")";
  } else {
    add_times(where, filter);
  }
  if (filter.bbox) {
    const auto& box = *filter.bbox;
    where.add("lat BETWEEN ? AND ?", box.south_deg, box.north_deg);
    if (box.west_deg <= box.east_deg)
      where.add("lon BETWEEN ? AND ?", box.west_deg, box.east_deg);
    else
      where.add("(lon >= ? OR lon <= ?)", box.west_deg, box.east_deg);
  }
  if (filter.object_class) where.add("object_class = ?", *filter.object_class);
  if (filter.source) where.add("source = ?", *filter.source);
  if (filter.flag) where.add("flag = ?", std::int64_t{static_cast<std::uint8_t>(*filter.flag)});
  if (path == Path::kDead) where.add("seq IN (SELECT seq FROM dead_letter)");
  if (path == Path::kDecided) where.add("seq IN (SELECT seq FROM decision)");
  if (path == Path::kRetries) where.add("seq IN (SELECT seq FROM retry)");
  if (path == Path::kHeld) {
    const bool held = filter.state == DeliveryState::kHeld;
    // As the partial index words it, or SQLite does not see that it fits.
    where.add("disposition <> 0");
    where.add("disposition = ?",
              std::int64_t{static_cast<std::uint8_t>(held ? Disposition::kHold : Disposition::kDiscard)});
    if (held) where.add("NOT EXISTS (SELECT 1 FROM decision WHERE decision.seq = detection.seq)");
  }
  return where;
}

Result<bool> few_within_times(Database& db, const ListFilter& filter) {
  if (!filter.since && !filter.until) return false;
  const auto times = within_times(db, filter);
  auto q = db.query_once("SELECT count(*) FROM (" + times.sql + " LIMIT ?) AS found");
  times.bind(q);
  auto row = q.bind(limits::kIndexedTimes + 1).step();
  if (!row) return std::unexpected(std::move(row.error()));
  return q.integer(0) <= limits::kIndexedTimes;
}

Result<Plan> plan_of(Database& db, const DeliveryView& deliveries, const ListFilter& filter) {
  Plan plan;
  if (filter.state) {
    switch (*filter.state) {
      case DeliveryState::kHeld: plan.path = Path::kHeld; return plan;
      case DeliveryState::kDiscarded: {
        // Exercises have an index; what every sink left out has none.
        auto omitted = db.integer("SELECT EXISTS (SELECT 1 FROM omission) OR EXISTS (SELECT 1 FROM omission_late)");
        if (!omitted) return std::unexpected(std::move(omitted.error()));
        if (omitted->value_or(0) != 0) break;
        plan.path = Path::kHeld;
        return plan;
      }
      case DeliveryState::kDeadLetter: plan.path = Path::kDead; return plan;
      case DeliveryState::kRejected: plan.path = Path::kDecided; return plan;
      case DeliveryState::kSpooled: plan.path = Path::kNothing; return plan;
      case DeliveryState::kQueued:
        plan.lowest = deliveries.done_up_to() + 1;
        plan.retries_below_lowest = true;
        break;
      case DeliveryState::kDelivered: break;
    }
  }
  auto few = few_within_times(db, filter);
  if (!few) return std::unexpected(std::move(few.error()));
  if (*few) plan.path = Path::kTimes;
  return plan;
}

struct Page {
  std::vector<StoredDetection> rows;
  std::optional<std::int64_t> next_before;
};

class Lister {
 public:
  Lister(Database& db, DeliveryView& deliveries, const ListFilter& filter, Plan plan, std::size_t limit)
      : db_(db), deliveries_(deliveries), filter_(filter), plan_(plan), limit_(limit) {}

  /// All within first..last, newest first, until the page is full.
  Result<void> read(Path path, std::int64_t first, std::int64_t last) {
    // What decides on their states, where that is asked for and the path does not say it all.
    const bool choose = filter_.state && path != Path::kHeld;
    if (choose)
      if (auto done = deliveries_.load_exceptions(db_, first, last); !done) return done;
    const auto where = conditions_of(db_, filter_, path);
    const auto sql = "SELECT " DETECTION_STORED_COLUMNS " FROM " + std::string(table_of(db_, path)) + where.sql +
                     " ORDER BY seq DESC LIMIT ?";
    // Where each has to be looked at, any number may be needed; one engine holds all that it is asked for.
    const auto slice = !choose             ? static_cast<std::int64_t>(limit_ - rows_.size()) + 1
                       : db_.is_postgres() ? limits::kListSlice
                                           : std::numeric_limits<std::int64_t>::max();
    while (!more_) {
      auto q = db_.query_once(sql);
      q.bind(first).bind(last);
      where.bind(q);
      q.bind(slice);
      auto looked_at = look_at(q, choose, last);
      if (!looked_at) return std::unexpected(std::move(looked_at.error()));
      if (*looked_at < slice) break;
      --last;
    }
    return {};
  }

  Result<Page> run(std::int64_t newest) {
    Page page;
    if (plan_.path == Path::kNothing) return page;
    auto reached = plan_.path == Path::kScan ? scan(newest) : read_all(plan_.path, newest);
    if (!reached) return std::unexpected(std::move(reached.error()));
    if (*reached >= plan_.lowest && !more_) {
      page.next_before = *reached + 1;  // the time was over
    } else if (plan_.retries_below_lowest && !more_) {
      if (auto done = read(Path::kRetries, 1, std::min(newest, plan_.lowest - 1)); !done)
        return std::unexpected(std::move(done.error()));
    }
    if (more_) page.next_before = rows_.back().sequence;
    page.rows = std::move(rows_);
    return page;
  }

 private:
  /// How many rows there were; `lowest`: the sequence of the last one.
  Result<std::int64_t> look_at(Query& q, bool choose, std::int64_t& lowest) {
    std::int64_t count = 0;
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) return count;
      ++count;
      lowest = q.integer(0);
      if (choose) {
        const auto disposition = static_cast<Disposition>(q.integer(kLocatedColumns));
        if (deliveries_.status(lowest, disposition).state != *filter_.state) continue;
      }
      if (rows_.size() == limit_) {
        more_ = true;
        return count;
      }
      auto stored = read_stored(q);
      if (!stored) return std::unexpected(std::move(stored.error()));
      rows_.push_back(std::move(stored->detection));
    }
  }

  /// Down to which it came: what is below the lowest when it saw all.
  Result<std::int64_t> scan(std::int64_t newest) {
    const auto until = std::chrono::steady_clock::now() + limits::kListTime;
    while (newest >= plan_.lowest && !more_) {
      const auto first = std::max(plan_.lowest, newest - limits::kListWindow + 1);
      if (auto done = read(Path::kScan, first, newest); !done) return std::unexpected(std::move(done.error()));
      newest = first - 1;
      if (std::chrono::steady_clock::now() > until) break;
    }
    return newest;
  }
  Result<std::int64_t> read_all(Path path, std::int64_t newest) {
    if (auto done = read(path, plan_.lowest, newest); !done) return std::unexpected(std::move(done.error()));
    return plan_.lowest - 1;
  }

  Database& db_;
  DeliveryView& deliveries_;
  const ListFilter& filter_;
  Plan plan_;
  std::size_t limit_;
  std::vector<StoredDetection> rows_;
  bool more_ = false;
};

}  // namespace

Result<ListPage> list(Database& db, const std::optional<std::vector<std::string>>& sinks, const ListFilter& filter,
                      std::optional<std::int64_t> before, std::size_t limit) {
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  auto deliveries = DeliveryView::load(db, sinks);
  if (!deliveries) return std::unexpected(std::move(deliveries.error()));
  auto plan = plan_of(db, *deliveries, filter);
  if (!plan) return std::unexpected(std::move(plan.error()));
  auto head = db.integer("SELECT max(seq) FROM detection");
  if (!head) return std::unexpected(std::move(head.error()));
  const std::int64_t newest = std::min(
      head->value_or(0), std::max<std::int64_t>(before.value_or(std::numeric_limits<std::int64_t>::max()), 1) - 1);

  ListPage page;
  Lister lister(db, *deliveries, filter, *plan, std::clamp<std::size_t>(limit, 1, limits::kListItems));
  auto found = lister.run(newest);
  if (!found) return std::unexpected(std::move(found.error()));
  page.next_before = found->next_before;
  if (found->rows.empty()) return page;
  if (auto done = deliveries->load_exceptions(db, found->rows.back().sequence, found->rows.front().sequence); !done)
    return std::unexpected(std::move(done.error()));
  page.items.reserve(found->rows.size());
  for (auto& row : found->rows) {
    auto status = deliveries->status(row.sequence, row.disposition);
    row.decision = deliveries->decision(row.sequence);
    page.items.emplace_back(std::move(row), std::move(status));
  }
  return page;
}

}  // namespace detection::store::sql
