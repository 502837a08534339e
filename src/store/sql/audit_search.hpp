#pragma once
// Searching the audit, and handing all of it out.
//
// Events come newest first by when their record was written; the events that one record stands for stay together. The
// filter looks at the events themselves, as they are shown. Within a chain records are in the order of their writing;
// chains are merged by the time that stands in their records. Where a clock was set back, that order stays the chain's.

#include <atomic>
#include <functional>
#include <string_view>

#include "store/sql/reader_pool.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

[[nodiscard]] Result<AuditPage> search_audit(Database& db, const AuditFilter& filter, std::string_view cursor,
                                             std::size_t limit);

/// One JSON object for each tombstone and each record, of which `detection-api audit export` makes lines:
///   {"tombstone": the chain's name, up_to_record, head_sha256, records, detections, detections_sha256, pruned,
///    signature}
///   {"chain", "record", "at", "type", "severity", "actor", "subject", "detection", "detection_sha256", "body",
///    "sha256", "previous_sha256"}
/// at and pruned are microseconds since 1970; hashes and subject are lower-case hex; subject, detection and
/// detection_sha256 may be null; body is the JSON text that was hashed, as a string. What is hashed is said in
/// audit.hpp (subject: its 16 bytes); tests/tools/check_audit_export.py does it. kConflict: the audit was pruned
/// meanwhile, begin again. Snapshots are short, whatever `each` does.
[[nodiscard]] Result<void> export_audit(ReaderPool& readers, const std::function<bool(const AuditRecordText&)>& each,
                                        const std::atomic<bool>& stop);

}  // namespace detection::store::sql
