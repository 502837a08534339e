#include "store/backup/manifest.hpp"

#include <algorithm>
#include <charconv>

#include "detection/json_writer.hpp"
#include "store/sql/digest.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

std::unexpected<Error> not_one(const std::string& why) {
  return fail(ErrorCode::kValidationFailed, "the manifest of the snapshot is not understood: " + why);
}

Result<Sha256> parse_hex(std::string_view text) {
  Sha256 out;
  if (text.size() != 2 * out.size()) return not_one("a SHA-256 has another length");
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto* const from = text.data() + 2 * i;
    if (std::from_chars(from, from + 2, out[i], 16).ptr != from + 2) return not_one("a SHA-256 is none");
  }
  return out;
}

void write_part(json::Writer& w, const Part& part) {
  w.begin_object();
  w.key("table");
  w.string(part.table.name);
  w.key("key_columns");
  w.integer(part.table.key_columns);
  w.key("columns");
  w.string(columns_text(part.table));
  w.key("rows");
  w.integer(part.content.rows);
  w.key("sha256");
  w.string(sql::hex(part.content.sha256));
  w.end_object();
}

void write_chain(json::Writer& w, const ChainEnd& chain) {
  w.begin_object();
  w.key("name");
  w.string(chain.name);
  w.key("record");
  w.integer(chain.record);
  w.key("sha256");
  w.string(chain.sha256);
  w.end_object();
}

/// SQLite reads JSON as well as it reads tables; so no second reader of it is needed here.
class Reader {
 public:
  [[nodiscard]] static Result<Reader> open(std::string_view json) {
    auto db = sqlite::open_database(":memory:", sqlite::Access::kCreate);
    if (!db) return std::unexpected(std::move(db.error()));
    Reader reader(std::move(*db), json);
    auto q = reader.db_.query("SELECT json_valid(?)");
    auto row = q.bind(json).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (q.integer(0) != 1) return not_one("it is no JSON");
    return reader;
  }

  /// Each row that a query makes of the text.
  template <class Take>
  Result<void> each(std::string_view sql, Take take) {
    auto q = db_.query(sql);
    q.bind(json_);
    while (true) {
      auto row = q.step();
      if (!row) return not_one("it has another shape");
      if (!*row) return {};
      if (auto done = take(q); !done) return done;
    }
  }

 private:
  Reader(sql::Database db, std::string_view json) : db_(std::move(db)), json_(json) {}
  sql::Database db_;
  std::string_view json_;
};

Result<void> read_head(Reader& reader, Manifest& out) {
  return reader.each(
      "SELECT json_extract(?1, '$.format'), json_extract(?1, '$.made'), json_extract(?1, '$.engine'), "
      "json_extract(?1, '$.schema_version'), json_extract(?1, '$.pages_bytes'), json_extract(?1, '$.pages_sha256')",
      [&](const sql::Query& q) -> Result<void> {
        out.format = q.integer(0);
        if (out.format != kFormat)
          return fail(ErrorCode::kValidationFailed, "the snapshot has format " + std::to_string(out.format) +
                                                        ", this program knows " + std::to_string(kFormat));
        const auto made = parse_rfc3339(q.text(1));
        if (!made) return not_one("when it was made");
        out.made = *made;
        out.engine = q.text(2);
        out.schema_version = q.integer(3);
        out.pages_bytes = q.integer(4);
        out.pages_sha256 = q.text(5);
        return {};
      });
}

Result<void> read_parts(Reader& reader, Manifest& out) {
  return reader.each(
      "SELECT value ->> '$.table', value ->> '$.key_columns', value ->> '$.columns', value ->> '$.rows', "
      "value ->> '$.sha256' FROM json_each(?1, '$.tables')",
      [&](const sql::Query& q) -> Result<void> {
        auto name = parse_columns(std::string(q.text(0)) + ":i");  // a word, as the names of columns are
        auto columns = parse_columns(q.text(2));
        auto sha256 = parse_hex(q.text(4));
        if (!name || !columns || !sha256) return not_one("a table of it");
        Part part{{std::string(q.text(0)), static_cast<int>(q.integer(1)), std::move(*columns)},
                  {q.integer(3), *sha256}};
        const auto keys = part.table.key_columns;
        if (name->size() != 1 || keys < 1 || keys > static_cast<int>(part.table.columns.size()))
          return not_one("the key of a table");
        out.parts.push_back(std::move(part));
        return {};
      });
}

Result<void> read_chains(Reader& reader, Manifest& out) {
  return reader.each(
      "SELECT value ->> '$.name', value ->> '$.record', value ->> '$.sha256' FROM json_each(?1, '$.chains')",
      [&](const sql::Query& q) -> Result<void> {
        out.chains.push_back({std::string(q.text(0)), q.integer(1), std::string(q.text(2))});
        return {};
      });
}

}  // namespace

std::int64_t Manifest::rows(std::string_view table) const noexcept {
  const auto found = std::ranges::find_if(parts, [&](const Part& part) { return part.table.name == table; });
  return found == parts.end() ? 0 : found->content.rows;
}

std::string manifest_json(const Manifest& manifest) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("format");
  w.integer(manifest.format);
  w.key("made");
  w.string(format_rfc3339_us(manifest.made));
  w.key("engine");
  w.string(manifest.engine);
  w.key("schema_version");
  w.integer(manifest.schema_version);
  w.key("pages_bytes");
  w.integer(manifest.pages_bytes);
  w.key("pages_sha256");
  w.string(manifest.pages_sha256);
  w.key("tables");
  w.begin_array();
  for (const auto& part : manifest.parts) write_part(w, part);
  w.end_array();
  w.key("chains");
  w.begin_array();
  for (const auto& chain : manifest.chains) write_chain(w, chain);
  w.end_array();
  w.end_object();
  return out;
}

Result<Manifest> parse_manifest(std::string_view json) {
  auto reader = Reader::open(json);
  if (!reader) return std::unexpected(std::move(reader.error()));
  Manifest out;
  for (const auto read : {&read_head, &read_parts, &read_chains})
    if (auto done = read(*reader, out); !done) return std::unexpected(std::move(done.error()));
  if (out.parts.empty()) return not_one("it names no tables");
  return out;
}

}  // namespace detection::store::backup
