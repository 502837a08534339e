#include "app/command_line.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>

#include "app/build_info.hpp"
#include "app/commands.hpp"

namespace detection::app {
namespace {

/// The options of the table that a subcommand takes, and what stood on the command line.
class TableOptions {
 public:
  void add(CLI::App& command, std::initializer_list<std::string_view> names) {
    add(command, std::span(names.begin(), names.size()));
  }

  void add(CLI::App& command, std::span<const std::string_view> names) {
    for (const auto name : names) {
      const auto& spec = option(name);
      auto* added = command.add_option("--" + std::string(name), flags_[std::string(name)], std::string(spec.help));
      added->type_name(std::string(spec.value_name))->take_all();
      if (!spec.many) added->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      // One value each time, so that a following positional is not swallowed.
      if (spec.many) added->allow_extra_args(false);
      if (!spec.fallback.empty()) added->default_str(std::string(spec.fallback));
    }
  }

  void add_all(CLI::App& command) {
    for (const auto& spec : option_table()) add(command, {spec.name});
  }

  [[nodiscard]] std::optional<Configuration> load() const {
    auto loaded = Configuration::load(flags_, [](const char* name) -> const char* {
      return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread exists
    });
    if (loaded) return std::move(*loaded);
    std::fprintf(stderr, "detection-api: %s\n", loaded.error().detail.c_str());
    return std::nullopt;
  }

 private:
  Configuration::Flags flags_;
};

/// One subcommand's parser and what it does.
struct Command {
  CLI::App* parser = nullptr;
  std::shared_ptr<TableOptions> options = std::make_shared<TableOptions>();
  std::function<int(const Configuration&)> action;
};

constexpr std::string_view kLocateOptions[] = {"config",    "accuracy",         "camera-accuracy",
                                               "max-range", "geoid-file",       "green-ce90",
                                               "red-ce90",  "green-confidence", "red-confidence"};

Command serve_command(CLI::App& app) {
  Command command{app.add_subcommand("serve", "Run the service until SIGTERM or SIGINT"), {}, {}};
  command.options = std::make_shared<TableOptions>();
  command.options->add_all(*command.parser);
  command.action = serve;
  return command;
}

Command locate_command(CLI::App& app) {
  Command command{app.add_subcommand("locate", "Locate detections given as JSON, one a line; one answer a line"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto input = std::make_shared<std::string>("-");
  command.parser->add_option("FILE", *input, "NDJSON file; - is stdin")->capture_default_str();
  auto json = std::make_shared<bool>(true);
  command.parser->add_flag("--json", *json, "accepted; the output is always JSON");
  command.options->add(*command.parser, kLocateOptions);
  command.action = [input, json](const Configuration& c) { return locate(c, *input); };
  return command;
}

Command ingest_command(CLI::App& app) {
  Command command{
      app.add_subcommand("ingest-klv", "Read MISB ST 0601 packets: compare, or send them to a service as detections"),
      std::make_shared<TableOptions>(),
      {}};
  auto arguments = std::make_shared<IngestKlvArguments>();
  auto& parser = *command.parser;
  parser.add_option("FILES", arguments->files, "files of KLV packets; - is stdin")->required();
  parser.add_option("--url", arguments->url, "a service, as http://127.0.0.1:8000; without it nothing is sent");
  parser.add_option("--token", arguments->token, "bearer token (scopes detections:write)");
  parser.add_option("--token-file", arguments->token_file, "file that holds the token");
  parser.add_option("--source", arguments->source, "source of the detections")->capture_default_str();
  parser.add_option("--camera-id", arguments->camera_id, "camera_id of the detections")->capture_default_str();
  parser.add_option("--accuracy", arguments->accuracy, "1-sigma of the pose, as heading_deg=0.3,pitch_deg=0.2");
  parser.add_option("--time", arguments->time, "now: shift the packets' times so that the last one is now")
      ->check(CLI::IsMember({"now"}));
  parser.add_option("--ground-elevation", arguments->ground_elevation_m,
                    "height of the ground in the datum of the packets, metres, where a packet has no slant range");
  parser.add_flag("--json", arguments->json, "one JSON object a line");
  command.options->add(parser, {"config", "max-range", "geoid-file"});
  command.action = [arguments](const Configuration& c) { return ingest_klv(c, *arguments); };
  return command;
}

Command token_command(CLI::App& app) {
  Command command{app.add_subcommand("token", "Print a bearer token"), std::make_shared<TableOptions>(), {}};
  auto arguments = std::make_shared<TokenArguments>();
  command.parser->add_option("--subject", arguments->subject, "who the token is for")->required();
  command.parser->add_option("--scope", arguments->scope, "scopes, separated by spaces")->required();
  command.parser->add_option("--ttl", arguments->life, "how long it is good for, at most 24h")->capture_default_str();
  command.parser->add_flag("--json", arguments->json, "print an object");
  command.options->add(*command.parser, {"config", "jwt-key-file"});
  command.action = [arguments](const Configuration& c) { return token(c, *arguments); };
  return command;
}

Command health_command(CLI::App& app) {
  Command command{
      app.add_subcommand("health", "Ask a running service whether it is alive"), std::make_shared<TableOptions>(), {}};
  auto arguments = std::make_shared<HealthArguments>();
  command.parser->add_option("--url", arguments->url, "the service (default: the address of --listen)");
  command.parser->add_flag("--ready", arguments->ready, "ask whether it is ready instead");
  command.parser->add_flag("--json", arguments->json, "print the answer");
  command.options->add(*command.parser, {"config", "listen"});
  command.action = [arguments](const Configuration& c) { return health(c, *arguments); };
  return command;
}

Command audit_command(CLI::App& app) {
  auto* audit = app.add_subcommand("audit", "The audit trail");
  audit->require_subcommand(1);
  Command command{audit->add_subcommand("verify", "Check every hash chain; may run beside serve"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto json = std::make_shared<bool>(false);
  command.parser->add_flag("--json", *json, "print an object");
  command.options->add(*command.parser, {"config", "data-dir"});
  command.action = [json](const Configuration& c) { return audit_verify(c, *json); };
  return command;
}

Command config_command(CLI::App& app) {
  Command command{app.add_subcommand("config", "Check the configuration and show every option with its source"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto form = std::make_shared<ConfigForm>(ConfigForm::kTable);
  command.parser->add_flag_callback("--json", [form] { *form = ConfigForm::kJson; }, "print an object");
  command.parser->add_flag_callback(
      "--markdown", [form] { *form = ConfigForm::kMarkdown; }, "print the reference page of all options");
  command.options->add_all(*command.parser);
  command.action = [form](const Configuration& c) { return show_config(c, *form); };
  return command;
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app{"Detection System: from a pixel and a camera's pose to a point on the TAK map", "detection-api"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion) + " (" + kCommit + ")");
  const std::vector<Command> commands{serve_command(app),  locate_command(app), ingest_command(app), token_command(app),
                                      health_command(app), audit_command(app),  config_command(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const bool asked = e.get_exit_code() == 0;  // --help, --version
    app.exit(e);
    return asked ? kDone : kWrongUsage;
  }
  for (const auto& command : commands) {
    if (!command.parser->parsed()) continue;
    const auto configuration = command.options->load();
    return configuration ? command.action(*configuration) : kWrongUsage;
  }
  return kWrongUsage;
}

}  // namespace detection::app
