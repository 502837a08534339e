#pragma once
// The operator's map, in the binary: what scripts/console.sh build left in build/console when this was linked.

#include <string_view>

namespace detection::app {

/// Bytes of an http::ConsoleArchive; none where it was built without a console.
[[nodiscard]] std::string_view console_archive() noexcept;

}  // namespace detection::app
