#pragma once
// A sink as it is configured: [NAME=]URL, the settings as the URL's query:
//
//   hq=tls://tak.example.org:8089?type=a-*&flag=GREEN,YELLOW&rate=200&keep=latest
//
// One table says each setting's name, form, schemes and help; what is read, what errors say and the page of the manual
// come from it. Names and values are percent-decoded ("%26" for '&', "%2C" for a ',' that separates nothing); '+'
// stands for itself.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pipeline/selection.hpp"
#include "store/store.hpp"
#include "tak/sink.hpp"

namespace detection::pipeline {

/// One sink with everything that its settings say.
struct SinkSetup {
  tak::SinkOptions sink{};
  SinkFilter filter{};
  KeepPolicy keep{};
  std::optional<double> rate_per_s{};
  std::optional<std::int64_t> queue_items{}, queue_bytes{};  ///< in place of the limits of all sinks
};

/// The sink's name stays as it is: it is not part of the URL. kConfiguration names the setting and its rule.
[[nodiscard]] Result<SinkSetup> parse_sink(std::string_view url);

struct SinkSetting {
  std::string_view name;
  std::string_view form;  ///< "a-f-*,b-m-p", as an error shows it
  std::string_view help;
  std::uint8_t schemes;  ///< bits 1 << tak::Scheme: where it makes sense
  /// False: the value has not that form. `setup.sink.address` is there already.
  bool (*read)(std::string_view value, SinkSetup& setup);
};
[[nodiscard]] std::span<const SinkSetting> sink_setting_table();

/// The table as Markdown, for docs/configuration.md.
[[nodiscard]] std::string sink_settings_markdown();

/// "5000000", "20GiB": a whole number, with kB, MB, GB, KiB, MiB or GiB. Over 0, at most 2^53.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(std::string_view text);

}  // namespace detection::pipeline
