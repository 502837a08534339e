#pragma once
// The one table of options: each is declared once with its flag (--tak-sink), environment name (DETECTION_TAK_SINK),
// key in the TOML file (tak_sink), default, check and help. docs/configuration.md is written from it.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detection/camera.hpp"
#include "detection/error.hpp"
#include "pipeline/announcer.hpp"

namespace detection::app {

/// Says what is wrong with a value, or nothing when it is good.
using OptionCheck = std::optional<std::string> (*)(std::string_view value);

struct OptionSpec {
  std::string_view name;        ///< without the dashes
  std::string_view value_name;  ///< as in --help: DIR, URL, SECONDS
  std::string_view fallback;    ///< the default as text; empty: none
  std::string_view help;
  OptionCheck check = nullptr;
  bool many = false;    ///< may be given several times (in TOML an array, in the environment separated by spaces)
  bool secret = false;  ///< never printed
};

[[nodiscard]] std::span<const OptionSpec> option_table();
[[nodiscard]] const OptionSpec& option(std::string_view name);  ///< a name that is not in the table is a bug of ours
[[nodiscard]] std::string environment_name(const OptionSpec& spec);
[[nodiscard]] std::string toml_key(const OptionSpec& spec);

/// docs/configuration.md, whole.
[[nodiscard]] std::string configuration_page();

enum class OptionSource : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };
[[nodiscard]] std::string_view option_source_name(OptionSource source) noexcept;

/// The resolved configuration: flag over environment over file over default; every value has passed its check.
class Configuration {
 public:
  using Flags = std::map<std::string, std::vector<std::string>, std::less<>>;
  using Environment = std::function<const char*(const char* name)>;

  /// `flags` holds what stood on the command line, by option name; its "config" names the TOML file. The error lists
  /// every option that is wrong, with where it came from.
  [[nodiscard]] static Result<Configuration> load(const Flags& flags, const Environment& environment);

  [[nodiscard]] const std::vector<std::string>& list(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name) const;  ///< empty when there is none
  [[nodiscard]] double number(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  [[nodiscard]] std::chrono::milliseconds duration(std::string_view name) const;
  [[nodiscard]] OptionSource source(std::string_view name) const;

 private:
  struct Value {
    std::vector<std::string> texts;
    OptionSource source = OptionSource::kDefault;
  };
  const Value& value(std::string_view name) const;
  std::map<std::string, Value, std::less<>> values_;
};

/// "250ms", "10s", "5m" or "5min", "2h", "1d"; a bare number is seconds. Not negative, at most 10 years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "47.1,8.5" or "47.1,8.5,430": degrees, and metres above the ellipsoid.
[[nodiscard]] std::optional<pipeline::OwnPosition> parse_position(std::string_view text);
/// A whole decimal number with nothing around it; finite.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);
/// As --process-name allows it.
[[nodiscard]] bool is_process_name(std::string_view text) noexcept;
/// "heading_deg=0.3,pitch_deg=0.2": the keys of `accuracy` in a request.
[[nodiscard]] Result<AccuracyOverride> parse_accuracy(std::string_view text);

}  // namespace detection::app
