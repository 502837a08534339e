#include "app/options.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace detection::app {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) found.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

/// A TOML scalar as the text that a flag would have had.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* number = node.as_floating_point()) {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out.precision(17);
    out << number->get();
    return out.str();
  }
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "on" : "off";
  return std::nullopt;
}

Result<std::vector<std::string>> toml_values(const OptionSpec& spec, const toml::node& node) {
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorCode::kConfiguration,
                "line " + std::to_string(node.source().begin.line) + ": " + toml_key(spec) + " " + std::string(what));
  };
  if (const auto one = scalar_text(node)) return std::vector{*one};
  const auto* array = node.as_array();
  if (array == nullptr) return wrong("must be a text or a number");
  if (!spec.many) return wrong("takes one value, not a list");
  std::vector<std::string> values;
  for (const auto& element : *array) {
    const auto one = scalar_text(element);
    if (!one) return wrong("must be a list of texts");
    values.push_back(*one);
  }
  return values;
}

/// A URL may hold one, by mistake: it is not repeated where everybody reads it.
std::string without_password(const std::string& text) {
  const auto scheme = text.find("://"), at = text.find('@');
  if (scheme == std::string::npos || at == std::string::npos || at < scheme) return text;
  return text.substr(0, scheme + 3) + "***" + text.substr(at);
}

using FileValues = std::map<std::string, std::vector<std::string>, std::less<>>;

Result<FileValues> read_file(const std::string& path) {
  FileValues values;
  if (path.empty()) return values;
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem))
    return fail(ErrorCode::kConfiguration, "config: the file " + path + " does not exist");
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& e) {
    return fail(ErrorCode::kConfiguration, "config: " + path + " line " + std::to_string(e.source().begin.line) + ": " +
                                               std::string(e.description()));
  }
  for (const auto& [key, node] : table) {
    const auto specs = option_table();
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return toml_key(s) == key.str(); });
    if (spec == specs.end() || spec->name == "config")
      return fail(ErrorCode::kConfiguration, "config: " + path + " line " + std::to_string(node.source().begin.line) +
                                                 ": there is no option " + std::string(key.str()));
    auto read = toml_values(*spec, node);
    if (!read) return fail(ErrorCode::kConfiguration, "config: " + path + " " + read.error().detail);
    values.emplace(spec->name, std::move(*read));
  }
  return values;
}

}  // namespace

std::string environment_name(const OptionSpec& spec) {
  std::string name = "DETECTION_";
  for (const char c : spec.name)
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  return name;
}

std::string toml_key(const OptionSpec& spec) {
  std::string key(spec.name);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

std::string_view option_source_name(OptionSource source) noexcept {
  switch (source) {
    case OptionSource::kDefault: return "default";
    case OptionSource::kFile: return "file";
    case OptionSource::kEnvironment: return "environment";
    case OptionSource::kFlag: return "flag";
  }
  return "default";
}

Result<Configuration> Configuration::load(const Flags& flags, const Environment& environment) {
  std::string config_file;
  if (const char* text = environment("DETECTION_CONFIG")) config_file = text;
  if (const auto flag = flags.find("config"); flag != flags.end() && !flag->second.empty())
    config_file = flag->second.back();
  auto file = read_file(config_file);
  if (!file) return std::unexpected(file.error());

  Configuration configuration;
  std::string complaints;
  for (const auto& spec : option_table()) {
    Value value;
    std::string place;
    if (const auto flag = flags.find(spec.name); flag != flags.end() && !flag->second.empty()) {
      value = {flag->second, OptionSource::kFlag};
      place = "--" + std::string(spec.name);
    } else if (const char* text = environment(environment_name(spec).c_str()); text != nullptr && *text != '\0') {
      value = {spec.many ? words(text) : std::vector<std::string>{text}, OptionSource::kEnvironment};
      place = environment_name(spec);
    } else if (const auto stated = file->find(spec.name); stated != file->end()) {
      value = {stated->second, OptionSource::kFile};
      place = config_file + ": " + toml_key(spec);
    } else if (!spec.fallback.empty()) {
      value = {{std::string(spec.fallback)}, OptionSource::kDefault};
      place = "--" + std::string(spec.name);
    }
    if (spec.check != nullptr)
      for (const auto& text : value.texts)
        if (const auto wrong = spec.check(text))
          complaints.append(complaints.empty() ? "" : "\n")
              .append(place)
              .append(" '")
              .append(spec.secret ? "***" : without_password(text))
              .append("': ")
              .append(*wrong);
    configuration.values_.emplace(spec.name, std::move(value));
  }
  if (!complaints.empty()) return fail(ErrorCode::kConfiguration, complaints);
  if (configuration.number("green-ce90") > configuration.number("red-ce90"))
    return fail(ErrorCode::kConfiguration, "--green-ce90 must not be over --red-ce90");
  if (configuration.number("green-confidence") < configuration.number("red-confidence"))
    return fail(ErrorCode::kConfiguration, "--green-confidence must not be under --red-confidence");
  return configuration;
}

const Configuration::Value& Configuration::value(std::string_view name) const {
  return values_.find(option(name).name)->second;
}
const std::vector<std::string>& Configuration::list(std::string_view name) const {
  return value(name).texts;
}
std::string Configuration::text(std::string_view name) const {
  const auto& texts = value(name).texts;
  return texts.empty() ? std::string() : texts.back();
}
double Configuration::number(std::string_view name) const {
  return parse_number(text(name)).value_or(0);
}
std::size_t Configuration::count(std::string_view name) const {
  return static_cast<std::size_t>(number(name));
}
std::chrono::milliseconds Configuration::duration(std::string_view name) const {
  return parse_duration(text(name)).value_or(std::chrono::milliseconds{0});
}
OptionSource Configuration::source(std::string_view name) const {
  return value(name).source;
}

}  // namespace detection::app
