#pragma once
// What has become of detections, as one snapshot of the database shows it.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/sql/decisions.hpp"
#include "store/sql/spans.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

class DeliveryView {
 public:
  /// Within the caller's snapshot. `sinks`: those that count; none: all that the store knows.
  [[nodiscard]] static Result<DeliveryView> load(Database& db, const std::optional<std::vector<std::string>>& sinks);

  /// Reads the decisions, dead letters, retries and omissions of first..last; the rest is right for these only.
  [[nodiscard]] Result<void> load_exceptions(Database& db, std::int64_t first, std::int64_t last);

  [[nodiscard]] DeliveryStatus status(std::int64_t sequence, Disposition disposition) const;
  [[nodiscard]] std::optional<Decision> decision(std::int64_t sequence) const;

  /// Up to here every sink is done with all there is in the log; retries aside.
  [[nodiscard]] std::int64_t done_up_to() const;

 private:
  struct Sink {
    std::int64_t number = 0;
    std::string name;
    std::int64_t start = 0, cursor = 0;
    Spans delivered;  ///< beyond the cursor
    Spans omitted;    ///< of the range whose exceptions were loaded
  };
  using SequenceAndSink = std::set<std::pair<std::int64_t, std::int64_t>>;
  [[nodiscard]] DeliveryState of_log(const Sink& sink, std::int64_t sequence) const;
  [[nodiscard]] DeliveryState of_decided(const Sink& sink, std::int64_t sequence, bool verified) const;
  [[nodiscard]] DeliveryStatus held_status(std::int64_t sequence) const;
  [[nodiscard]] static Result<void> read_pairs(Query q, SequenceAndSink& pairs);
  std::vector<Sink> sinks_;
  SequenceAndSink dead_, retries_, omitted_late_;
  std::map<std::int64_t, StoredDecision> decisions_;  ///< the newest of each
};

}  // namespace detection::store::sql
