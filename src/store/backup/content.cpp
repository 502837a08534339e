#include "store/backup/content.hpp"

#include <algorithm>

#include "store/sql/audit.hpp"
#include "store/sql/digest.hpp"

namespace detection::store::backup {
namespace {

constexpr std::int64_t kTellEvery = 4'096;

std::int64_t all_rows(const Manifest& manifest) {
  std::int64_t rows = 0;
  for (const auto& part : manifest.parts) rows += part.content.rows;
  return rows;
}

}  // namespace

Result<std::vector<ChainEnd>> chain_ends(sql::Database& db) {
  auto q = db.query(
      "SELECT c.name, a.record, a.sha256 FROM audit_chain AS c LEFT JOIN audit AS a ON a.record = (SELECT max(record) "
      "FROM audit WHERE record > c.number << 40 AND record < (c.number + 1) << 40) ORDER BY c.number");
  std::vector<ChainEnd> out;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    out.push_back({std::string(q.text(0)), sql::number_in_chain(q.integer(1)), sql::hex(q.bytes(2))});
  }
}

Result<std::vector<Part>> read_parts(sql::Database& db, const std::vector<Table>& of, const EachPartRow& each,
                                     std::string_view what, std::int64_t rows_expected, Work& work) {
  std::vector<Part> out;
  std::int64_t done = 0;
  for (const auto& table : of) {
    ContentDigest digest;
    auto read = read_rows(db, table, [&](Row row) -> Result<void> {
      digest.add(row);
      if (++done % kTellEvery == 0) work.tell(what, done, std::max(done, rows_expected));
      work.breathe();
      return each ? each(table, row) : Result<void>();
    });
    if (!read) return std::unexpected(std::move(read.error()));
    out.push_back({table, digest.finish()});
  }
  work.tell(what, done, done);
  return out;
}

Result<void> compare(sql::Database& db, const Manifest& manifest, std::string_view what, Work& work,
                     const EachPartRow& each) {
  std::vector<Table> of;
  for (const auto& part : manifest.parts) of.push_back(part.table);
  auto parts = read_parts(db, of, each, what, all_rows(manifest), work);
  if (!parts) return std::unexpected(std::move(parts.error()));
  for (std::size_t i = 0; i < parts->size(); ++i)
    if (const auto &is = (*parts)[i].content, &stated = manifest.parts[i].content; is != stated)
      return fail(ErrorCode::kValidationFailed,
                  "the table " + of[i].name + " does not hold what the snapshot states: " + std::to_string(is.rows) +
                      " rows, stated are " + std::to_string(stated.rows) +
                      (is.rows == stated.rows ? ", with another content" : ""));
  auto ends = chain_ends(db);
  if (!ends) return std::unexpected(std::move(ends.error()));
  if (*ends != manifest.chains)
    return fail(ErrorCode::kValidationFailed, "the audit chains do not end where the snapshot states");
  return {};
}

}  // namespace detection::store::backup
