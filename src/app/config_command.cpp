#include <algorithm>
#include <cstdio>

#include "app/commands.hpp"
#include "detection/json_writer.hpp"
#include "pipeline/sink_settings.hpp"

namespace detection::app {
namespace {

std::string joined(const std::vector<std::string>& values) {
  std::string text;
  for (const auto& value : values) text.append(text.empty() ? "" : " ").append(value);
  return text;
}

}  // namespace

std::string configuration_page() {
  std::string page =
      "# Configuration\n\n"
      "Written by `detection-api config --markdown`; a test holds it against the binary. A flag wins over the\n"
      "environment, the environment over the TOML file (`--config FILE`), the file over the default. A wrong value "
      "stops\n"
      "the start and is named with the place it came from. Durations are `250ms`, `10s`, `5m`, `2h`, `1d`. An option "
      "that\n"
      "may be given several times is an array in TOML, and separated by spaces in the environment.\n\n"
      "| flag | environment | TOML key | default | what |\n|---|---|---|---|---|\n";
  const auto code = [](std::string_view text) { return text.empty() ? std::string() : "`" + std::string(text) + "`"; };
  for (const auto& spec : option_table()) {
    std::string value_name(spec.value_name);
    for (std::size_t at = 0; (at = value_name.find('|', at)) != std::string::npos; at += 2) value_name.insert(at, "\\");
    page.append("| ").append(code("--" + std::string(spec.name))).append(" ").append(value_name);
    page.append(" | ").append(code(environment_name(spec)));
    page.append(" | ").append(spec.name == "config" ? std::string() : code(toml_key(spec)));
    page.append(" | ").append(code(spec.fallback)).append(" | ").append(spec.help).append(" |\n");
  }
  page.append(
      "\n## Settings of a sink\n\n"
      "The query of its URL: `hq=tls://tak.example.org:8089?type=a-*&flag=GREEN,YELLOW&rate=200&keep=latest`. Names "
      "and\n"
      "values are percent-decoded; write `%26` for `&` in a value, and `%2C` for a `,` that separates nothing.\n\n");
  page.append(pipeline::sink_settings_markdown());
  return page;
}

int show_config(const Configuration& configuration, ConfigForm form) {
  if (form == ConfigForm::kMarkdown) {
    std::printf("%s", configuration_page().c_str());
    return kDone;
  }
  if (form == ConfigForm::kTable) {
    for (const auto& spec : option_table()) {
      auto value = joined(configuration.list(spec.name));
      if (spec.secret && !value.empty()) value = "(secret)";
      std::printf("%-18s %-28s %s\n", std::string(spec.name).c_str(), value.empty() ? "-" : value.c_str(),
                  std::string(option_source_name(configuration.source(spec.name))).c_str());
    }
    return kDone;
  }
  std::string out;
  json::Writer w(out);
  w.begin_object();
  for (const auto& spec : option_table()) {
    w.key(spec.name);
    w.begin_object();
    w.key("value");
    if (spec.secret) {
      w.null();
    } else if (spec.many) {
      w.begin_array();
      for (const auto& value : configuration.list(spec.name)) w.string(value);
      w.end_array();
    } else if (const auto text = configuration.text(spec.name); text.empty()) {
      w.null();
    } else {
      w.string(text);
    }
    w.key("source");
    w.string(option_source_name(configuration.source(spec.name)));
    w.end_object();
  }
  w.end_object();
  std::printf("%s\n", out.c_str());
  return kDone;
}

}  // namespace detection::app
