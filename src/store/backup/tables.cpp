#include "store/backup/tables.hpp"

#include <array>

namespace detection::store::backup {
namespace {

struct Line {
  std::string_view name;
  int key_columns;
  std::string_view columns;
};

constexpr std::array kTables{
    Line{"detection", 1,
         "seq:i id:b disposition:i flag:i observed:i received:i lat:r lon:r hae:r ce90:r le90:r ai_confidence:r "
         "object_class:t source:t camera_id:t track_id:t cot_uid:t cot_type:t marks:i measures:b content_sha256:b "
         "accepted_in:i request_json:t"},
    Line{"audit_chain", 1, "number:i name:t"},
    Line{"audit", 1,
         "record:i at:i type:t severity:t actor:t subject:b detection:i detection_sha256:b body:t sha256:b"},
    Line{"audit_head", 1, "chain:i number:i sha256:b"},
    Line{"audit_tombstone", 1,
         "chain:i up_to:i head_sha256:b records:i detections:i detections_sha256:b pruned:i signature:t"},
    Line{"dead_letter", 2, "seq:i sink:i at:i reason:t in_log:i"},
    Line{"delivery", 2, "sink:i first_seq:i last_seq:i record:i"},
    Line{"omission", 2, "sink:i first_seq:i last_seq:i reason:i record:i"},
    Line{"omission_late", 2, "sink:i seq:i reason:i"},
    Line{"decision", 1, "number:i seq:i verified:i notes:t actor:t at:i record:i sinks:i track:t"},
    Line{"retry", 3, "sink:i in_log:i seq:i kind:i at_tak:i due:i"},
    Line{"sink", 1,
         "number:i name:t start:i start_exceptional:i cursor:i delivered:i delivered_late:i omitted:i omitted_late:i "
         "dead:i dead_in_log:i waiting_late:i"},
    Line{"api_key", 1,
         "id:t name:t secret_sha256:b previous_sha256:b previous_until:i scopes:t created_by:t created:i rotated:i "
         "expires:i revoked:i last_used:i"},
    Line{"revoked_token", 1, "jti:t until:i"},
    Line{"release", 1, "number:i active_slot:t"},
};

constexpr std::array<std::string_view, 6> kLeftOut{"probe", "backup_result", "schema_version",
                                                   "log",   "sink_lease",    "shared_usage"};

std::string joined(std::span<const Column> columns) {
  std::string out;
  for (const auto& column : columns) out.append(out.empty() ? "" : ", ").append(column.name);
  return out;
}

bool is_kind(char c) {
  return c == 'i' || c == 'r' || c == 't' || c == 'b';
}

/// Ours are words; they become part of statements.
bool is_word(std::string_view text) {
  if (text.empty() || text.size() > 63) return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  return true;
}

}  // namespace

std::string Table::column_names() const {
  return joined(columns);
}

std::string Table::key_names() const {
  return joined(std::span(columns).first(static_cast<std::size_t>(key_columns)));
}

const std::vector<Table>& tables() {
  static const auto kAll = [] {
    std::vector<Table> all;
    for (const auto& line : kTables)
      all.push_back({std::string(line.name), line.key_columns, parse_columns(line.columns).value()});
    return all;
  }();
  return kAll;
}

std::span<const std::string_view> left_out() {
  return kLeftOut;
}

std::string columns_text(const Table& table) {
  std::string out;
  for (const auto& column : table.columns)
    out.append(out.empty() ? "" : " ").append(column.name).append(":").push_back(static_cast<char>(column.kind));
  return out;
}

Result<std::vector<Column>> parse_columns(std::string_view text) {
  std::vector<Column> out;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    const auto colon = word.find(':');
    if (colon == std::string_view::npos || word.size() != colon + 2 || !is_word(word.substr(0, colon)) ||
        !is_kind(word.back()))
      return fail(ErrorCode::kValidationFailed, "the columns of a table are not understood");
    out.push_back({std::string(word.substr(0, colon)), static_cast<Kind>(word.back())});
    text.remove_prefix(word.size() == text.size() ? word.size() : word.size() + 1);
  }
  if (out.empty()) return fail(ErrorCode::kValidationFailed, "a table without columns");
  return out;
}

}  // namespace detection::store::backup
