#pragma once
// The parts of /openapi.json: what the routes take and answer, beyond what other tables say already (route_table.hpp:
// paths, methods, scopes; body_fields.hpp and detection_fields.hpp: fields; problem.hpp: errors).

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detection/json_writer.hpp"
#include "http/body_fields.hpp"
#include "http/route_table.hpp"

namespace detection::http {

/// One media type of an answer. Without a schema it is text.
struct AnswerForm {
  std::string_view media{};
  std::string_view schema{};   ///< in components/schemas
  std::string_view example{};  ///< in components/examples
};

/// Bits of AnswerSpec::headers and Operation::request_headers; X-Request-ID is always there.
enum HeaderBit : std::uint16_t {
  kLocationHeader = 1,
  kDetectionHeaders = 2,  ///< X-Detection-ID, X-Confidence-Flag
  kEtagHeader = 4,
  kNoStoreHeader = 8,
  kIdempotencyKey = 16,
  kIfNoneMatch = 32,
  kLastEventId = 64,
  kNextCursorHeader = 128,  ///< X-Next-Cursor
};

/// A good answer.
struct AnswerSpec {
  unsigned status = 0;
  std::string_view description{};
  std::array<AnswerForm, 2> forms{};
  std::uint16_t headers = 0;
  std::string_view links_json{};
};

struct BodySpec {
  std::string_view schema{};                     ///< in components/schemas; empty: no body
  std::span<const std::string_view> examples{};  ///< in components/examples
  std::string_view other_media{};                ///< besides application/json
  std::string_view other_schema_json{};          ///< of the other
  std::string_view other_example{};
};

struct Operation {
  Route route;
  Method method;
  std::string_view id{}, tag{}, summary{}, description{};
  std::span<const FieldSpec> (*query)() noexcept = nullptr;
  std::uint16_t request_headers = 0;
  BodySpec body{};
  std::array<AnswerSpec, 3> answers{};
  std::array<std::uint16_t, 5> problems{};  ///< statuses beyond those that its kind of route can always give
};
/// One for each method of each route; HEAD is as GET.
[[nodiscard]] std::span<const Operation> operations() noexcept;

[[nodiscard]] bool is_rate_limited(const Operation& operation) noexcept;

/// Every status of a problem document that the operation can give, in order.
[[nodiscard]] std::vector<unsigned> problem_statuses(const Operation& operation);

// Small pieces of writing.
void append_member(json::Writer& w, std::string_view key, std::string_view text);  ///< none for an empty text
void append_reference(json::Writer& w, std::string_view kind, std::string_view name);
void append_header(json::Writer& w, std::string_view name, std::string_view component);
/// "NotFound": what the answers to a status are called in components/responses.
[[nodiscard]] std::string response_name(unsigned status);

/// The object `components`.
void append_components(json::Writer& w);

// Members of components/schemas.
void append_table_schema(json::Writer& w, std::span<const FieldSpec> table);  ///< an object with these fields
void append_field_schema(json::Writer& w, const FieldSpec& spec);             ///< the schema of one
void append_detection_schemas(json::Writer& w);  ///< Detection, SensorMetadata, Distortion, AccuracyOfInputs

/// Made from openapi/schemas.json and openapi/examples.json: the schemas of answers and the examples.
extern const std::string_view kAnswerSchemas, kExamples;

}  // namespace detection::http
