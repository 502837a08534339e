#include "store/sql/capacity.hpp"

#include <algorithm>

#include "store/sql/limits.hpp"

namespace detection::store::sql {
namespace {

std::string counted(double value) {
  return std::to_string(static_cast<std::int64_t>(value));
}

bool is_stored(Result<bool> row) {
  return row && *row;
}

}  // namespace

QueuedCount queued_count(const Query& q, int first, std::int64_t head, std::int64_t exceptional) {
  const auto column = [&](int i) { return q.integer(first + i); };
  return {(head - column(0)) - (exceptional - column(1)) - column(2) - column(3) - column(4), column(5)};
}

double record_bytes(const Acceptance& item) noexcept {
  const auto& d = item.located;
  const auto texts = item.request_json.size() + d.object_class.size() + d.source.size() + d.camera_id.size() +
                     (d.track_id ? d.track_id->size() : 0) + d.cot_uid.size() + d.cot_type.size();
  return static_cast<double>(texts) + limits::kRecordBytesBesideTexts;
}

Result<double> mean_record_bytes(Database& db) {
  auto q = db.query(
      "SELECT avg(length(CAST(request_json AS BLOB)) + length(object_class) + length(source) + length(camera_id) + "
      "coalesce(length(track_id), 0) + length(cot_uid) + length(cot_type)) FROM "
      "(SELECT * FROM detection ORDER BY seq DESC LIMIT ?)");
  auto row = q.bind(limits::kMeanOf).step();
  if (!row) return std::unexpected(std::move(row.error()));
  return q.is_null(0) ? 0 : q.real(0) + limits::kRecordBytesBesideTexts;
}

void Capacity::set(std::string_view sink, const QueueLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_.insert_or_assign(std::string(sink), limits);
}

std::map<std::string, QueueLimits, std::less<>> Capacity::limits() const {
  const std::lock_guard lock(mutex_);
  return limits_;
}

Result<void> Capacity::begin(Ledger& ledger) {
  rooms_.clear();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [sink, limits] : limits_)
      if (limits.items > 0 || limits.bytes > 0) rooms_.push_back({sink, limits});
  }
  if (rooms_.empty()) return {};
  const auto& state = ledger.state();
  for (auto& room : rooms_) {
    auto q = ledger.database().query("SELECT " SINK_QUEUED_COLUMNS " FROM sink WHERE name = ?");
    auto row = q.bind(room.sink).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) continue;
    room.queued = queued_count(q, 0, state.head, state.exceptional).all();
    room.bytes = static_cast<double>(room.queued) * state.mean_bytes;
  }
  return {};
}

const Capacity::Room* Capacity::full(std::int64_t items, double bytes) const {
  if (items == 0) return nullptr;
  for (const auto& room : rooms_) {
    if (room.limits.items > 0 && room.queued + items > room.limits.items) return &room;
    if (room.limits.bytes > 0 && room.bytes + bytes > static_cast<double>(room.limits.bytes)) return &room;
  }
  return nullptr;
}

Result<std::optional<Error>> Capacity::admit(Database& db, const CommitJob& job) {
  if (rooms_.empty()) return std::nullopt;
  std::int64_t items = 0;
  double bytes = 0;
  const auto count = [&](bool only_new) {
    items = 0;
    bytes = 0;
    for (const auto& item : job.items) {
      if (item.disposition != Disposition::kQueue) continue;
      if (only_new) {
        auto q = db.query("SELECT 1 FROM detection WHERE id = ?");
        if (is_stored(q.bind(item.located.id.bytes).step())) continue;
      }
      ++items;
      bytes += record_bytes(item);
    }
  };
  count(false);
  const auto* room = full(items, bytes);
  if (room != nullptr) {
    // A caller who did not hear our answer asks again: that needs no room.
    count(true);
    room = full(items, bytes);
  }
  if (room != nullptr) {
    const bool of_items = room->limits.items > 0 && room->queued + items > room->limits.items;
    std::string detail = "the queue of sink " + room->sink + " is full: " + std::to_string(room->queued) + " ";
    if (of_items)
      detail += "of at most " + std::to_string(room->limits.items) + " events wait";
    else
      detail +=
          "events wait, about " + counted(room->bytes) + " of at most " + std::to_string(room->limits.bytes) + " bytes";
    detail +=
        items == 1 ? "; nothing was stored" : ", and " + std::to_string(items) + " more do not fit; nothing was stored";
    return Error{ErrorCode::kCapacityExceeded, std::move(detail)};
  }
  for (auto& one : rooms_) {
    one.queued += items;
    one.bytes += bytes;
  }
  return std::nullopt;
}

}  // namespace detection::store::sql
