// Fields from name=value pairs: forms and queries.

#include <algorithm>
#include <charconv>

#include "http/body_fields.hpp"
#include "http/field_collector.hpp"
#include "http/json_walk.hpp"

namespace detection::http {
namespace {

std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto* digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  if (!simdjson::validate_utf8(out)) return std::nullopt;
  return out;
}

/// name=value&name=value; `each` is called with the decoded pairs. False: not percent-encoded UTF-8.
template <class Each>
bool each_pair(std::string_view text, bool plus_is_space, Each&& each) {
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const auto pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = percent_decoded(pair.substr(0, equals), plus_is_space);
    const auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())), plus_is_space);
    if (!name || !value) return false;
    each(*name, *value);
  }
  return true;
}

void take_pair(FieldCollector& to, std::string_view name, std::string_view value) {
  std::size_t index = 0;
  switch (to.find(name, index)) {
    case FieldCollector::Found::kKnown: return to.from_text(index, value);
    case FieldCollector::Found::kTwice: return to.wrong(name, "is given twice");
    case FieldCollector::Found::kUnknown: return to.unknown(name);
  }
}

}  // namespace

Result<FieldValues> read_form(std::string_view form, std::span<const FieldSpec> table) {
  FieldCollector to(table);
  const bool read = each_pair(form, true, [&](std::string_view name, std::string_view value) {
    if (!value.empty()) take_pair(to, name, value);
  });
  if (!read) return fail(ErrorCode::kMalformedRequest, "the form is not percent-encoded UTF-8");
  return to.finish();
}

Result<FieldValues> read_query(std::string_view query, std::span<const FieldSpec> table) {
  FieldCollector to(table);
  const bool read =
      each_pair(query, false, [&](std::string_view name, std::string_view value) { take_pair(to, name, value); });
  if (!read) to.wrong("query", "is not percent-encoded UTF-8");
  auto values = to.finish();
  if (!values)
    values.error().detail =
        "the query breaks a rule: " + values.error().fields.front().field + " " + values.error().fields.front().message;
  return values;
}

Result<AuditQuery> parse_audit_query(std::string_view query) {
  auto read = read_query(query, audit_fields());
  if (!read) return std::unexpected(std::move(read.error()));
  auto& values = *read;
  AuditQuery parsed;
  parsed.filter.type = std::move(values.texts[kAuditType]);
  parsed.filter.severity = std::move(values.texts[kAuditSeverity]);
  parsed.filter.actor = std::move(values.texts[kAuditActor]);
  if (const auto& subject = values.texts[kAuditSubject]) parsed.filter.subject = parse_uuid(*subject);
  parsed.filter.since = values.times[kAuditSince];
  parsed.filter.until = values.times[kAuditUntil];
  if (parsed.filter.since && parsed.filter.until && *parsed.filter.since > *parsed.filter.until)
    return fail(ErrorCode::kValidationFailed, "since is later than until", {{"since", "must not be later than until"}});
  parsed.cursor = values.texts[kAuditCursor].value_or("");
  parsed.limit = static_cast<std::size_t>(values.integers[kAuditLimit].value_or(100));
  return parsed;
}

}  // namespace detection::http
