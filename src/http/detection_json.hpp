#pragma once
// The JSON of a detection: strict reading of requests, writing of answers. The only place that parses request bodies;
// `locate` reads its lines through it too.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "detection/detection.hpp"
#include "detection/error.hpp"
#include "detection/record.hpp"
#include "store/store.hpp"

namespace detection::http {

struct ParseRules {
  UtcMicros now{};  ///< timestamps may be at most 5 minutes later
  bool identity_optional =
      false;  ///< `locate`: source, camera_id, timestamp, object_class, ai_confidence may be absent
};

/// Strict (design.md 4.9): duplicate keys, NaN, trailing text, lone surrogates, NUL, bad UTF-8: kMalformedJson.
/// A well-formed body that breaks rules: kValidationFailed with every broken rule in `fields`.
/// Not thread-safe: one per thread (keeps its buffers).
class DetectionParser {
 public:
  DetectionParser();
  ~DetectionParser();
  DetectionParser(DetectionParser&&) noexcept;

  [[nodiscard]] Result<Detection> parse(std::string_view body, const ParseRules& rules);
  /// A JSON array; one result per element. An error of the whole: kMalformedJson, or kPayloadTooLarge over
  /// `items_most`.
  [[nodiscard]] Result<std::vector<Result<Detection>>> parse_array(std::string_view body, const ParseRules& rules,
                                                                   std::size_t items_most);
  /// NDJSON: one result per non-empty line; a malformed line is that line's own error.
  [[nodiscard]] Result<std::vector<Result<Detection>>> parse_lines(std::string_view body, const ParseRules& rules,
                                                                   std::size_t items_most);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "position":{...},"accuracy":{...},"flag":...,"flag_reasons":[...],"slant_range_m":..,"grazing_deg":.. as one object,
/// what `locate` prints.
void append_fix(std::string& out, const Fix& fix, const FlagVerdict& verdict);

/// The answer of a POST: detection_id, the fix, cot, delivery; `exercise` where it is one, `durability` where it is
/// durable in the spool of this process only.
void append_answer(std::string& out, const LocatedDetection& located, const store::DeliveryStatus& delivery,
                   bool spooled = false);

/// One element of a list and the answer of GET .../{id}: the answer of the POST, then what was reported, `verification`
/// (a person's decision, or null) and `request` (the stored, normalised request).
void append_record(std::string& out, const store::StoredDetection& stored, const store::DeliveryStatus& delivery);

/// The same as a GeoJSON Feature (RFC 7946): a point, everything else in `properties`.
void append_feature(std::string& out, const store::StoredDetection& stored, const store::DeliveryStatus& delivery);

/// RFC 9457 problem document; `members`: further ones, as JSON text ("scope":"admin").
void append_problem(std::string& out, const Error& error, std::string_view instance, std::string_view members = {});

/// The one map from codes to statuses.
[[nodiscard]] unsigned http_status(ErrorCode code) noexcept;

}  // namespace detection::http
