#pragma once
// What has become of detections, as one snapshot of the database shows it.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/sqlite/database.hpp"
#include "store/sqlite/spans.hpp"
#include "store/store.hpp"

namespace detection::store::sqlite {

class DeliveryView {
 public:
  /// Within the caller's snapshot. `sinks`: those that count; none: all that the store knows.
  [[nodiscard]] static Result<DeliveryView> load(Database& db, const std::optional<std::vector<std::string>>& sinks);

  /// Reads the dead letters of first..last; status() is right for these only.
  [[nodiscard]] Result<void> load_dead(Database& db, std::int64_t first, std::int64_t last);

  [[nodiscard]] DeliveryStatus status(std::int64_t sequence, Disposition disposition) const;

  /// Up to here every sink is done with all there is.
  [[nodiscard]] std::int64_t done_up_to() const;
  /// Behind it no sink has anything.
  [[nodiscard]] std::int64_t reached() const;

 private:
  struct Sink {
    std::int64_t number = 0;
    std::string name;
    std::int64_t start = 0, cursor = 0;
    Spans delivered;  ///< beyond the cursor
  };
  [[nodiscard]] DeliveryState state(const Sink& sink, std::int64_t sequence) const;
  std::vector<Sink> sinks_;
  std::set<std::pair<std::int64_t, std::int64_t>> dead_;  ///< seq, sink
};

}  // namespace detection::store::sqlite
