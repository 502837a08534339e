#include "app/console_assets.hpp"

extern "C" {
extern const char detection_console_begin[];  // NOLINT(modernize-avoid-c-arrays): symbols of console_assets.S
extern const char detection_console_end[];    // NOLINT(modernize-avoid-c-arrays)
}

namespace detection::app {

std::string_view console_archive() noexcept {
  return {static_cast<const char*>(detection_console_begin), static_cast<const char*>(detection_console_end)};
}

}  // namespace detection::app
