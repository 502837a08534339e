#pragma once
// The trace of the caller (W3C Trace Context, https://www.w3.org/TR/trace-context/): its own records are found by it.

#include <string_view>

namespace detection::http {

/// The trace-id of a `traceparent`: 32 lower-case hexadecimal digits, a view into the value. Empty: the value breaks a
/// rule of section 3.2 (version ff, zero ids, capitals, a length that its version forbids), so there is no trace. Of a
/// later version the known front is read, as section 4.3 asks.
[[nodiscard]] std::string_view trace_id_of(std::string_view traceparent) noexcept;

}  // namespace detection::http
