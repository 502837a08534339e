// The tables of body_fields.hpp.

#include <algorithm>
#include <array>

#include "http/body_fields.hpp"
#include "http/list_query.hpp"
#include "http/request_rules.hpp"

namespace detection::http {
namespace {

using enum FieldType;

constexpr std::array<std::string_view, 5> kScopes{"detections:read", "detections:write", "detections:verify",
                                                  "audit:read", "admin"};
constexpr std::array<std::string_view, 1> kGrants{"client_credentials"};
constexpr std::array<std::string_view, 3> kFlags{"GREEN", "YELLOW", "RED"};
constexpr std::array<std::string_view, 7> kStates{"queued",      "held",      "delivered", "rejected",
                                                  "dead_letter", "discarded", "spooled"};
constexpr std::array<std::string_view, 3> kSeverities{"INFO", "WARNING", "ERROR"};

constexpr std::string_view kNoControls = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
constexpr std::string_view kNoNul = "^[^\\u0000]*$";

// Four numbers; their ranges are said in words.
constexpr std::string_view kBoxPattern =
    "^-?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?(,-?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?){3}$";

bool without_nul(std::string_view text) {
  return text.find('\0') == std::string_view::npos;
}

/// No C0 or C1 control character; the text is UTF-8.
bool printable(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
  }
  return true;
}

bool is_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}
bool is_uuid(std::string_view text) {
  return parse_uuid(text).has_value();
}
bool is_box(std::string_view text) {
  return parse_bounding_box(text).has_value();
}
bool is_class(std::string_view text) {
  return is_name(text, false);
}
bool is_source(std::string_view text) {
  return is_name(text, true);
}
bool is_list_cursor(std::string_view text) {
  return parse_cursor(text).has_value();
}
bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

constexpr FieldSpec since{.name = "since",
                          .type = kTime,
                          .message = "must be a time as RFC 3339 has it",
                          .description = "From this time on.",
                          .example_json = R"("2026-11-23T00:00:00Z")"};
constexpr FieldSpec until{.name = "until",
                          .type = kTime,
                          .message = "must be a time as RFC 3339 has it",
                          .description = "Before this time; not earlier than since.",
                          .example_json = R"("2026-11-24T00:00:00+01:00")"};
constexpr FieldSpec limit{.name = "limit",
                          .type = kInteger,
                          .least = 1,
                          .most = kListMost,
                          .message = "must be a whole number from 1 to 1000",
                          .description = "Items of one page. A page may hold fewer and yet not be the last one.",
                          .example_json = "100",
                          .default_json = "100"};
constexpr FieldSpec list_cursor{.name = "cursor",
                                .least = 16,
                                .most = 16,
                                .holds = is_list_cursor,
                                .pattern = "^[0-9a-fA-F]{16}$",
                                .message = "must be next_cursor of an earlier page",
                                .description = "next_cursor of the page before."};

}  // namespace

std::span<const FieldSpec> verify_fields() noexcept {
  static constexpr std::array<FieldSpec, 2> kTable{{
      {.name = "verified",
       .type = kBoolean,
       .required = true,
       .message = "must be true or false",
       .description = "true releases the detection to TAK, false rejects it.",
       .example_json = "true"},
      {.name = "notes",
       .most = 2'000,
       .holds = without_nul,
       .pattern = kNoNul,
       .message = "must be at most 2000 characters",
       .description = "Why; kept in the audit.",
       .example_json = R"("seen on a second camera")"},
  }};
  return kTable;
}

std::span<const FieldSpec> api_key_fields() noexcept {
  static constexpr std::array<FieldSpec, 3> kTable{{
      {.name = "name",
       .required = true,
       .least = 1,
       .most = 128,
       .holds = printable,
       .pattern = kNoControls,
       .message = "must be 1 to 128 characters without control characters",
       .description = "What the key is for.",
       .example_json = R"("uav-7 feeder")"},
      {.name = "scopes",
       .type = kTextList,
       .required = true,
       .least = 1,
       .most = kScopes.size(),
       .one_of = kScopes,
       .message = "must be 1 to 5 scopes, each once, of detections:read, detections:write, detections:verify, "
                  "audit:read, admin",
       .description = "What the key may do.",
       .example_json = R"(["detections:write"])"},
      {.name = "expires",
       .type = kTime,
       .message = "must be a time in the future as RFC 3339 has it",
       .description = "When it ends; must be in the future. Absent: never.",
       .example_json = R"("2099-01-01T00:00:00Z")"},
  }};
  return kTable;
}

std::span<const FieldSpec> rotate_fields() noexcept {
  static constexpr std::array<FieldSpec, 1> kTable{{
      {.name = "force",
       .type = kBoolean,
       .message = "must be true or false",
       .description = "Also while the secret from before an earlier rotation is still good, which ends it.",
       .example_json = "false",
       .default_json = "false"},
  }};
  return kTable;
}

std::span<const FieldSpec> token_fields() noexcept {
  static constexpr std::array<FieldSpec, 5> kTable{{
      {.name = "grant_type",
       .required = true,
       .one_of = kGrants,
       .message = "must be client_credentials",
       .description = "The one grant there is (RFC 6749 section 4.4).",
       .example_json = R"("client_credentials")"},
      {.name = "client_id",
       .least = 1,
       .most = 256,
       .holds = printable,
       .pattern = kNoControls,
       .message = "must be 1 to 256 characters without control characters",
       .description = "The id of an API key. Or by HTTP Basic, but not both.",
       .example_json = R"("dsk_3f9c1a2b7d4e5f60")"},
      {.name = "client_secret",
       .least = 1,
       .most = 256,
       .holds = printable,
       .pattern = kNoControls,
       .message = "must be 1 to 256 characters without control characters",
       .description = "Its secret, or the whole key.",
       .example_json = R"("the-secret-of-that-key")"},
      {.name = "scope",
       .least = 0,
       .most = 256,
       .holds = printable,
       .pattern = kNoControls,
       .message = "must be at most 256 characters without control characters",
       .description = "Scopes with spaces between; each must be one of the key's. Absent or empty: all of them.",
       .example_json = R"("detections:write")"},
      {.name = kOtherFields},
  }};
  return kTable;
}

std::span<const FieldSpec> revoke_fields() noexcept {
  static constexpr std::array<FieldSpec, 2> kTable{{
      {.name = "jti",
       .required = true,
       .least = 1,
       .most = 128,
       .holds = printable,
       .pattern = kNoControls,
       .message = "must be 1 to 128 characters without control characters",
       .description = "The jti of the token that is to end.",
       .example_json = R"("0198a3c1-7f00-7abc-8def-0123456789ab")"},
      {.name = "until",
       .type = kTime,
       .message = "must be a time as RFC 3339 has it",
       .description = "When the token ends by itself (its exp): its revocation is kept until then, at most 10 years. "
                      "Absent: 90 days. To be stated for a token of another issuer that lives longer.",
       .example_json = R"("2026-12-01T00:00:00Z")"},
  }};
  return kTable;
}

std::span<const FieldSpec> list_fields() noexcept {
  static constexpr std::array<FieldSpec, 9> kTable{{
      {.name = "bbox",
       .most = 200,
       .holds = is_box,
       .pattern = kBoxPattern,
       .message = "must be west,south,east,north in degrees, south <= north (west > east crosses 180)",
       .description = "west,south,east,north in degrees, south <= north; west > east crosses 180 degrees.",
       .example_json = R"("11,48,12,49")"},
      since,
      until,
      {.name = "class",
       .least = 1,
       .most = kClassCharactersMost,
       .holds = is_class,
       .pattern = kClassPattern,
       .message = "must be a name as a detection may have it",
       .description = "Detections of this object_class.",
       .example_json = R"("vehicle")"},
      {.name = "flag",
       .one_of = kFlags,
       .message = "must be GREEN, YELLOW or RED",
       .description = "Detections of this flag.",
       .example_json = R"("GREEN")"},
      {.name = "state",
       .one_of = kStates,
       .message = "must be queued, held, delivered, rejected, dead_letter, discarded or spooled",
       .description = "Detections whose delivery as a whole is in this state.",
       .example_json = R"("queued")"},
      {.name = "source",
       .least = 1,
       .most = kNameCharactersMost,
       .holds = is_source,
       .pattern = kNamePattern,
       .message = "must be a name as a detection may have it",
       .description = "Detections of this source.",
       .example_json = R"("uav-7")"},
      limit,
      list_cursor,
  }};
  return kTable;
}

std::span<const FieldSpec> dead_letter_fields() noexcept {
  static constexpr std::array<FieldSpec, 2> kTable{{limit, list_cursor}};
  return kTable;
}

std::span<const FieldSpec> audit_fields() noexcept {
  static constexpr std::array<FieldSpec, 8> kTable{{
      {.name = "type",
       .least = 1,
       .most = 64,
       .holds = is_word,
       .pattern = "^[a-z_]+$",
       .message = "must be 1 to 64 characters of a-z _",
       .description = "Events of this type, for instance detection_received, tak_push_success, auth_failure.",
       .example_json = R"("detection_received")"},
      {.name = "severity",
       .one_of = kSeverities,
       .message = "must be INFO, WARNING or ERROR",
       .description = "Events of this severity.",
       .example_json = R"("WARNING")"},
      {.name = "actor",
       .least = 1,
       .most = 256,
       .holds = printable,
       .pattern = kNoControls,
       .message = "must be 1 to 256 characters without control characters",
       .description = "What this subject did.",
       .example_json = R"("operator-1")"},
      {.name = "subject",
       .least = 36,
       .most = 36,
       .holds = is_uuid,
       .pattern = kUuidPattern,
       .message = "must be a UUID",
       .description = "The events of this detection.",
       .example_json = R"("0198a3c1-7f00-7abc-8def-0123456789ab")"},
      since,
      until,
      limit,
      {.name = "cursor",
       .least = 1,
       .most = 256,
       .holds = is_visible,
       .pattern = "^[!-~]+$",
       .message = "must be next_cursor of an earlier page",
       .description = "next_cursor of the page before."},
  }};
  return kTable;
}

}  // namespace detection::http
