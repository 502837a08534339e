#pragma once
// The fields of the smaller request bodies and of the query strings, once: these tables drive both the check of what
// comes in and what /openapi.json says (open_api.cpp), so that the two cannot differ. (The fields of a detection are in
// request_rules.hpp, read by a faster reader.)

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "store/store.hpp"

namespace detection::http {

enum class FieldType : std::uint8_t { kText, kBoolean, kInteger, kTime, kTextList };

/// One field of a body or one parameter of a query.
struct FieldSpec {
  std::string_view name;
  FieldType type = FieldType::kText;
  bool required = false;
  double least = 0, most = 0;                      ///< characters of a text, value of a number, entries of a list
  std::span<const std::string_view> one_of{};      ///< the words that a text, or an entry of a list, may be
  bool (*holds)(std::string_view text) = nullptr;  ///< what else must hold of a text
  std::string_view pattern{};                      ///< the same as a regular expression (ECMA-262), for the document
  std::string_view message{};                      ///< the rule in words, for the caller
  std::string_view description{};                  ///< for the document
  std::string_view example_json{};                 ///< for the document
  std::string_view default_json{};                 ///< for the document: what its absence means
};

/// As the last entry of a table: fields that it does not name are ignored (RFC 6749 asks for that), not refused.
inline constexpr std::string_view kOtherFields = "*";
[[nodiscard]] constexpr bool ignores_others(std::span<const FieldSpec> table) noexcept {
  return !table.empty() && table.back().name == kOtherFields;
}

/// What was stated, by index of the table; empty where a field was absent or of another type.
struct FieldValues {
  std::vector<std::optional<std::string>> texts;
  std::vector<std::optional<bool>> booleans;
  std::vector<std::optional<std::int64_t>> integers;
  std::vector<std::optional<std::vector<std::string>>> lists;
  std::vector<std::optional<UtcMicros>> times;
};

/// Strict, as for detections: kMalformedJson, or kValidationFailed with every broken rule, unknown fields by name.
[[nodiscard]] Result<FieldValues> read_body(std::string_view json, std::span<const FieldSpec> table);
/// application/x-www-form-urlencoded: kMalformedRequest when it is not that. A name twice is an error; an empty value
/// is none (RFC 6749 section 3.2).
[[nodiscard]] Result<FieldValues> read_form(std::string_view form, std::span<const FieldSpec> table);
/// A query string: everything wrong is kValidationFailed. '+' stands for itself, so that the offset of a time need not
/// be escaped.
[[nodiscard]] Result<FieldValues> read_query(std::string_view query, std::span<const FieldSpec> table);

// PUT .../verify
enum VerifyField : std::uint8_t { kVerifyVerified, kVerifyNotes };
[[nodiscard]] std::span<const FieldSpec> verify_fields() noexcept;  ///< verified (boolean), notes? (0-2,000 characters)
// POST /api/v1/api-keys
enum ApiKeyField : std::uint8_t { kApiKeyName, kApiKeyScopes, kApiKeyExpires };
[[nodiscard]] std::span<const FieldSpec> api_key_fields() noexcept;  ///< name, scopes (list), expires? (RFC 3339)
// POST /api/v1/api-keys/{id}/rotate, in the query
enum RotateField : std::uint8_t { kRotateForce };
[[nodiscard]] std::span<const FieldSpec> rotate_fields() noexcept;
// POST /api/v1/auth/token (RFC 6749 section 4.4)
enum TokenField : std::uint8_t { kTokenGrantType, kTokenClientId, kTokenClientSecret, kTokenScope };
[[nodiscard]] std::span<const FieldSpec> token_fields() noexcept;
// POST /api/v1/auth/revoke
enum RevokeField : std::uint8_t { kRevokeJti, kRevokeUntil };
[[nodiscard]] std::span<const FieldSpec> revoke_fields() noexcept;
// GET /api/v1/detections (read by parse_list_query)
enum ListField : std::uint8_t {
  kListBbox,
  kListSince,
  kListUntil,
  kListClass,
  kListFlag,
  kListState,
  kListSource,
  kListLimit,
  kListCursor
};
[[nodiscard]] std::span<const FieldSpec> list_fields() noexcept;
// GET /api/v1/delivery/{sink}/dead-letters (read by parse_dead_letter_query)
enum DeadLetterField : std::uint8_t { kDeadLetterLimit, kDeadLetterCursor };
[[nodiscard]] std::span<const FieldSpec> dead_letter_fields() noexcept;
// GET /api/v1/audit
enum AuditField : std::uint8_t {
  kAuditType,
  kAuditSeverity,
  kAuditActor,
  kAuditSubject,
  kAuditSince,
  kAuditUntil,
  kAuditLimit,
  kAuditCursor
};
[[nodiscard]] std::span<const FieldSpec> audit_fields() noexcept;

/// GET /api/v1/audit: type, severity, actor, subject, since, until, limit (1-1000, default 100), cursor.
struct AuditQuery {
  store::AuditFilter filter;
  std::string cursor;
  std::size_t limit = 100;
};
[[nodiscard]] Result<AuditQuery> parse_audit_query(std::string_view query);

}  // namespace detection::http
