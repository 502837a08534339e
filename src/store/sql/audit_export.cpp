// Each slice of records is read in a snapshot of its own and held, so that a slow reader of the export holds up
// nothing.

#include "detection/json_writer.hpp"
#include "detection/text.hpp"
#include "store/sql/audit_search.hpp"
#include "store/sql/limits.hpp"
#include "store/sql/tombstone.hpp"

namespace detection::store::sql {
namespace {

struct Chain {
  std::int64_t number = 0;
  std::string name;
  std::int64_t last = 0;
  StoredTombstone tombstone;
};

/// A text of a record. JSON cannot hold bytes that are no UTF-8, and the hash is over them: where there are some, they
/// stand beside what can be read of it, in hexadecimal.
void text_member(json::Writer& w, std::string_view name, std::string_view text) {
  w.key(name);
  w.string(as_utf8(text));
  if (is_utf8(text)) return;
  w.key(std::string(name) + "_hex");
  w.string(hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
}

std::string tombstone_json(const Tombstone& t) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("tombstone");
  w.string(as_utf8(t.chain));
  w.key("up_to_record");
  w.integer(t.up_to_record);
  w.key("head_sha256");
  w.string(t.head_sha256);
  w.key("records");
  w.integer(t.records);
  w.key("detections");
  w.integer(t.detections);
  w.key("detections_sha256");
  w.string(t.detections_sha256);
  w.key("pruned");
  w.integer(t.pruned.count);
  w.key("signature");
  w.string(as_utf8(t.signature));
  w.end_object();
  return out;
}

std::string record_json(const Query& q, const std::string& chain, std::int64_t number, const std::string& previous) {
  std::string out;
  json::Writer w(out);
  const auto hex_or_null = [&](int column) {
    if (q.is_null(column))
      w.null();
    else
      w.string(hex(q.bytes(column)));
  };
  w.begin_object();
  text_member(w, "chain", chain);
  w.key("record");
  w.integer(number);
  w.key("at");
  w.integer(q.integer(1));
  text_member(w, "type", q.text(2));
  text_member(w, "severity", q.text(3));
  text_member(w, "actor", q.text(4));
  w.key("subject");
  hex_or_null(5);
  w.key("detection");
  if (q.is_null(6))
    w.null();
  else
    w.integer(q.integer(6));
  w.key("detection_sha256");
  hex_or_null(7);
  text_member(w, "body", q.text(8));
  w.key("sha256");
  w.string(hex(q.bytes(9)));
  w.key("previous_sha256");
  w.string(previous);
  w.end_object();
  return out;
}

Result<std::vector<Chain>> chains_of(Database& db) {
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  auto q = db.query(
      "SELECT number, name, (SELECT max(record) FROM audit WHERE record > number << 40 AND record < (number + 1) << "
      "40) FROM audit_chain ORDER BY number");
  std::vector<Chain> chains;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return chains;
    Chain chain{q.integer(0), std::string(q.text(1)), number_in_chain(q.integer(2)), {}};
    auto tombstone = find_tombstone(db, chain.number);
    if (!tombstone) return std::unexpected(std::move(tombstone.error()));
    if (*tombstone) chain.tombstone = std::move(**tombstone);
    chains.push_back(std::move(chain));
  }
}

class ChainExport {
 public:
  ChainExport(ReaderPool& readers, const Chain& chain)
      : readers_(readers), chain_(chain), at_(chain.tombstone.up_to), previous_(hex(chain.tombstone.head)) {}

  [[nodiscard]] bool done() const { return at_ >= chain_.last; }

  Result<std::vector<AuditRecordText>> slice() {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    auto& db = **reader;
    auto snapshot = Transaction::begin(db, TransactionKind::kRead);
    if (!snapshot) return std::unexpected(std::move(snapshot.error()));
    auto tombstone = find_tombstone(db, chain_.number);
    if (!tombstone) return std::unexpected(std::move(tombstone.error()));
    if (*tombstone && (*tombstone)->up_to > at_)
      return fail(ErrorCode::kConflict, "the audit was pruned during the export; begin again");
    auto q = db.query(
        "SELECT record, at, type, severity, actor, subject, detection, detection_sha256, body, sha256 FROM audit "
        "WHERE record > ? AND record <= ? ORDER BY record LIMIT ?");
    q.bind(record_key(chain_.number, at_)).bind(record_key(chain_.number, chain_.last)).bind(limits::kExportSlice);
    std::vector<AuditRecordText> records;
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      at_ = number_in_chain(q.integer(0));
      records.push_back({chain_.name, at_, record_json(q, chain_.name, at_, previous_)});
      previous_ = hex(q.bytes(9));
    }
    if (records.empty()) at_ = chain_.last;
    return records;
  }

 private:
  ReaderPool& readers_;
  const Chain& chain_;
  std::int64_t at_;
  std::string previous_;
};

}  // namespace

Result<void> export_audit(ReaderPool& readers, const std::function<bool(const AuditRecordText&)>& each,
                          const std::atomic<bool>& stop) {
  std::vector<Chain> chains;
  {
    auto reader = readers.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    auto found = chains_of(**reader);
    if (!found) return std::unexpected(std::move(found.error()));
    chains = std::move(*found);
  }
  for (const auto& chain : chains) {
    if (chain.tombstone.up_to == 0) continue;
    if (!each({chain.name, chain.tombstone.up_to, tombstone_json(shown(chain.name, chain.tombstone))})) return {};
  }
  for (const auto& chain : chains) {
    ChainExport records(readers, chain);
    while (!records.done()) {
      if (stop) return fail(ErrorCode::kStoreUnavailable, "the store is closed: the export was ended");
      auto slice = records.slice();
      if (!slice) return std::unexpected(std::move(slice.error()));
      for (const auto& record : *slice)
        if (!each(record)) return {};
    }
  }
  return {};
}

}  // namespace detection::store::sql
