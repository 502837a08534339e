#pragma once
// What a sink's policy left out of its deliveries: rows of the table `omission`, ranges of the log with one audit
// record for each batch, and of `omission_late`, released ones by themselves.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/sql/spans.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

/// The record of a batch, and the event as which it is shown: its body names the ranges with the reason of each,
/// {"sink":...,"state":"discarded","count":3,"ranges":[[7,8,"filtered"],[10,10,"stale"]]}.
inline constexpr std::string_view kOmissionType = "tak_push_omitted";

/// Rows of disposition queue, one after the other in it.
struct OmittedRange {
  Span span;
  OmitReason reason = OmitReason::kFiltered;
};

[[nodiscard]] std::string omission_body(std::string_view sink, const std::vector<OmittedRange>& ranges,
                                        std::int64_t count);
/// Within a transaction of the writer.
[[nodiscard]] Result<void> put_omission(Database& db, std::int64_t sink, const OmittedRange& range,
                                        std::int64_t record);
/// The event of such a record, from its body; with a sequence: as that detection's timeline shows it.
[[nodiscard]] Result<void> append_omission(Database& db, const AuditEvent& whole, std::string_view body,
                                           std::optional<std::int64_t> sequence, std::vector<AuditEvent>& events);

/// The ranges of a sink that have something of first..last.
[[nodiscard]] Result<Spans> omitted_within(Database& db, std::int64_t sink, std::int64_t first, std::int64_t last);

}  // namespace detection::store::sql
