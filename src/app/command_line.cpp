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
#include "app/tak_commands.hpp"

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
      added->allow_extra_args(false);
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

/// Where the store is.
constexpr std::string_view kStoreOptions[] = {"config", "data-dir", "database-url", "database-credentials"};

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

using KeyAction = int (*)(const Configuration&, const KeyArguments&);

Command key_command(CLI::App& key, const char* name, const char* help, KeyAction action) {
  Command command{key.add_subcommand(name, help), std::make_shared<TableOptions>(), {}};
  auto arguments = std::make_shared<KeyArguments>();
  auto& parser = *command.parser;
  if (action == key_create) {
    parser.add_option("--name", arguments->name, "what it is for")->required();
    parser.add_option("--scope", arguments->scope, "scopes, separated by spaces")->required();
    parser.add_option("--ttl", arguments->life, "how long it is good, such as 90d (default: without an end)");
  } else if (action != key_list) {
    parser.add_option("ID", arguments->id, "as `key list` shows it")->required();
    if (action == key_rotate)
      parser.add_flag("--force", arguments->force, "also within 24 hours of the last time, whose old secret it ends");
  }
  parser.add_flag("--json", arguments->json, "print an object");
  command.options->add(parser, kStoreOptions);
  command.action = [arguments, action](const Configuration& c) { return action(c, *arguments); };
  return command;
}

std::vector<Command> key_commands(CLI::App& app) {
  auto* key = app.add_subcommand("key", "API keys; may run beside serve");
  key->require_subcommand(1);
  return {key_command(*key, "create", "Make a key and print it, this once", key_create),
          key_command(*key, "list", "List the keys, without their secrets", key_list),
          key_command(*key, "rotate", "Give a key a new secret; the old one is good for 24 hours more", key_rotate),
          key_command(*key, "revoke", "End a key at once", key_revoke)};
}

Command health_command(CLI::App& app) {
  Command command{
      app.add_subcommand("health", "Ask a running service whether it is alive"), std::make_shared<TableOptions>(), {}};
  auto arguments = std::make_shared<HealthArguments>();
  command.parser->add_option("--url", arguments->url, "the service (default: the address of --listen)");
  command.parser->add_flag("--ready", arguments->ready, "ask whether it is ready instead");
  command.parser->add_flag("--json", arguments->json, "print the answer");
  command.options->add(*command.parser, {"config", "listen", "metrics-listen", "tls-cert-file"});
  command.action = [arguments](const Configuration& c) { return health(c, *arguments); };
  return command;
}

Command smoke_command(CLI::App& app) {
  Command command{app.add_subcommand("smoke", "Try a running service with one exercise detection: seven checks"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto arguments = std::make_shared<SmokeArguments>();
  auto& parser = *command.parser;
  parser.add_option("--url", arguments->url, "the service, as http://127.0.0.1:8000")->required();
  parser.add_option("--metrics-url", arguments->metrics_url, "where its metrics are, as http://127.0.0.1:9100")
      ->required();
  parser.add_option("--token-file", arguments->token_file,
                    "file that holds a bearer token (scope detections:write; default: made with --jwt-key-file)");
  parser.add_option("--expect-slot", arguments->slot, "slot that it must say it is");
  parser.add_option("--expect-commit", arguments->commit, "commit that it must say it was built from");
  parser.add_flag("--json", arguments->json, "print an object");
  command.options->add(parser, {"config", "jwt-key-file"});
  command.action = [arguments](const Configuration& c) { return smoke(c, *arguments); };
  return command;
}

using AuditAction = int (*)(const Configuration&, const AuditArguments&);

Command audit_command(CLI::App& audit, const char* name, const char* help, AuditAction action) {
  Command command{audit.add_subcommand(name, help), std::make_shared<TableOptions>(), {}};
  auto arguments = std::make_shared<AuditArguments>();
  auto& parser = *command.parser;
  if (action == audit_export) {
    parser.add_option("--output", arguments->output, "file to write, whole or not at all (default: stdout)");
  } else {
    parser.add_flag("--json", arguments->json, "print an object");
    command.options->add(parser, {"jwt-key-file", "jwt-key-dir", "jwt-signing-key"});
  }
  command.options->add(parser, kStoreOptions);
  if (action == audit_prune) {
    auto* before = parser.add_option("--before", arguments->before, "remove what is from before this time (RFC 3339)");
    parser.add_option("--older-than", arguments->older_than, "remove what is older; at least 90d")
        ->capture_default_str()
        ->excludes(before);
  }
  command.action = [arguments, action](const Configuration& c) { return action(c, *arguments); };
  return command;
}

std::vector<Command> audit_commands(CLI::App& app) {
  auto* audit = app.add_subcommand("audit", "The audit trail; may run beside serve");
  audit->require_subcommand(1);
  return {audit_command(*audit, "verify", "Check every hash chain", audit_verify),
          audit_command(*audit, "export", "Print every record, one JSON object a line", audit_export),
          audit_command(*audit, "prune", "Remove old records; signed tombstones stay in their place", audit_prune)};
}

Command migrate_command(CLI::App& app) {
  Command command{
      app.add_subcommand("migrate", "Bring the schema of the store up to date; print its version before and after"),
      std::make_shared<TableOptions>(),
      {}};
  auto arguments = std::make_shared<MigrateArguments>();
  command.parser->add_flag("--json", arguments->json, "print an object");
  command.options->add(*command.parser, kStoreOptions);
  command.action = [arguments](const Configuration& c) { return migrate(c, *arguments); };
  return command;
}

void add_s3_options(CLI::App& parser, S3Arguments& s3) {
  parser
      .add_option("--s3", s3.url,
                  "also copy it there: s3://BUCKET/PREFIX; credentials as AWS_ACCESS_KEY_ID or by EKS Pod Identity")
      ->envname("DETECTION_BACKUP_S3");
  parser.add_option("--s3-region", s3.region, "region of the bucket")
      ->envname("DETECTION_BACKUP_S3_REGION")
      ->capture_default_str();
  parser.add_option("--s3-endpoint", s3.endpoint, "another S3 server than Amazon's, as https://s3.example.com")
      ->envname("DETECTION_BACKUP_S3_ENDPOINT");
  parser.add_option("--s3-ca-file", s3.ca_file, "authorities of that server's certificate (default: the system's)")
      ->envname("DETECTION_BACKUP_S3_CA_FILE");
}

void add_share_option(CLI::App& parser, int& percent) {
  parser
      .add_option(
          "--share", percent,
          "percent of the time that it works, leaving processor and disk to those that serve; 100: as fast as it can")
      ->envname("DETECTION_BACKUP_SHARE")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
}

Command backup_command(CLI::App& app) {
  Command command{app.add_subcommand("backup", "Write one verified snapshot of the store; may run beside serve"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto arguments = std::make_shared<BackupArguments>();
  auto& parser = *command.parser;
  parser.add_option("--output", arguments->output, "folder for detections-<UTC>.snapshot; made if missing")->required();
  parser.add_option("--keep", arguments->keep, "remove snapshots there that are older; the newest always stays")
      ->capture_default_str();
  add_share_option(parser, arguments->share_percent);
  add_s3_options(parser, arguments->s3);
  parser.add_flag("--json", arguments->json, "print an object");
  command.options->add(parser, kStoreOptions);
  command.action = [arguments](const Configuration& c) { return make_backup(c, *arguments); };
  return command;
}

Command verify_command(CLI::App& app) {
  Command command{
      app.add_subcommand("verify", "Check that a snapshot is what was written: every byte, table and audit chain"),
      std::make_shared<TableOptions>(),
      {}};
  auto arguments = std::make_shared<VerifyArguments>();
  auto& parser = *command.parser;
  parser.add_option("FILE", arguments->file, "a snapshot; a folder: its newest")->required();
  parser.add_flag("--restore", arguments->restore, "restore it into scratch, too, and compare that");
  parser.add_option("--scratch", arguments->scratch, "folder for that (default: beside the snapshot)");
  parser.add_flag("--record", arguments->record,
                  "note the time in the store, for backup_last_verified_timestamp_seconds");
  add_share_option(parser, arguments->share_percent);
  parser.add_flag("--json", arguments->json, "print an object");
  command.options->add(parser, kStoreOptions);
  command.action = [arguments](const Configuration& c) { return verify_snapshot(c, *arguments); };
  return command;
}

Command restore_command(CLI::App& app) {
  Command command{app.add_subcommand("restore", "Put the record of a snapshot into an empty place that nobody serves"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto arguments = std::make_shared<RestoreArguments>();
  auto& parser = *command.parser;
  parser.add_option("FILE", arguments->file, "a snapshot; a folder: its newest")->required();
  parser.add_flag("--replace", arguments->replace,
                  "in place of a record that is there: SQLite's is set aside, PostgreSQL's is gone");
  parser.add_flag("--json", arguments->json, "print an object");
  command.options->add(parser, kStoreOptions);
  command.action = [arguments](const Configuration& c) { return restore_snapshot(c, *arguments); };
  return command;
}

using SlotAction = int (*)(const Configuration&, const SlotArguments&);

Command slot_command(CLI::App& slot, const char* name, const char* help, SlotAction action) {
  Command command{slot.add_subcommand(name, help), std::make_shared<TableOptions>(), {}};
  auto arguments = std::make_shared<SlotArguments>();
  auto& parser = *command.parser;
  if (action == slot_set) {
    parser.add_option("SLOT", arguments->slot, "blue or green")->required()->check(CLI::IsMember({"blue", "green"}));
    parser.add_option("--actor", arguments->actor, "who does it, for the audit")->capture_default_str();
  }
  parser.add_flag("--json", arguments->json, "print an object");
  command.options->add(parser, kStoreOptions);
  command.action = [arguments, action](const Configuration& c) { return action(c, *arguments); };
  return command;
}

std::vector<Command> slot_commands(CLI::App& app) {
  auto* slot = app.add_subcommand("slot", "The release slot whose processes deliver; may run beside serve");
  slot->require_subcommand(1);
  return {slot_command(*slot, "get", "Print the active slot; none: it was never set", slot_get),
          slot_command(*slot, "set", "Let the processes of a slot deliver, and no others", slot_set)};
}

constexpr const char* kCredentialsHelp =
    "folder of credentials: username, password, endpoint, tls.crt, tls.key, ca.crt or *.p12";

Command tak_enroll_command(CLI::App& tak) {
  Command command{tak.add_subcommand(
                      "enroll", "Get a client certificate from a TAK server (port 8446), or renew it before its end"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto arguments = std::make_shared<TakEnrollArguments>();
  auto& parser = *command.parser;
  parser.add_option("URL", arguments->url, "https://HOST:8446, or tak://com.atakmap.app/enroll?host=&username=&token=")
      ->required();
  parser.add_option("--username", arguments->username, "the user; becomes the CN of the certificate");
  auto* file = parser.add_option("--password-file", arguments->password_file, "file that holds the password");
  parser.add_flag("--password-stdin", arguments->password_stdin, "read the password from stdin")->excludes(file);
  parser.add_option("--output", arguments->output, "credentials folder to write, whole or not at all")->required();
  parser.add_option("--ca-file", arguments->ca_file,
                    "authorities that the server is checked against (PEM; default: the system's)");
  parser.add_option("--pin-sha256", arguments->pin_sha256,
                    "take exactly the server certificate of this SHA-256, whatever its name and issuer");
  parser.add_option("--renew-before", arguments->renew_before,
                    "do nothing (exit 0) unless the certificate in --output ends within this time, such as 7d");
  parser.add_option("--client-uid", arguments->client_uid, "the uid that the server notes for the certificate")
      ->capture_default_str();
  parser.add_flag("--json", arguments->json, "print an object");
  command.action = [arguments](const Configuration&) { return tak_enroll(*arguments); };
  return command;
}

Command tak_import_command(CLI::App& tak) {
  Command command{tak.add_subcommand("import", "Make a credentials folder from a connection data package (zip)"),
                  std::make_shared<TableOptions>(),
                  {}};
  auto arguments = std::make_shared<TakImportArguments>();
  command.parser->add_option("FILE", arguments->file, "the package; - is stdin")->required();
  command.parser->add_option("--output", arguments->output, "credentials folder to write, whole or not at all")
      ->required();
  command.parser->add_flag("--json", arguments->json, "print an object");
  command.action = [arguments](const Configuration&) { return tak_import(*arguments); };
  return command;
}

Command tak_probe_command(CLI::App& tak) {
  Command command{
      tak.add_subcommand("probe", "Tell step by step what a feeder would meet at a TAK server; sends pings only"),
      std::make_shared<TableOptions>(),
      {}};
  auto arguments = std::make_shared<TakProbeArguments>();
  auto& parser = *command.parser;
  parser.add_option("URL", arguments->url,
                    "tcp://, tls://, udp:// or file://, as of --tak-sink (default: the endpoint of the credentials)");
  parser.add_option("--tak-credentials", arguments->credentials, kCredentialsHelp)
      ->envname("DETECTION_TAK_CREDENTIALS");
  parser.add_option("--timeout", arguments->timeout, "of each step")->capture_default_str();
  parser.add_option("--expected-name", arguments->expected_name, "name that the server's certificate must have");
  parser.add_option("--pin-sha256", arguments->pin_sha256, "take exactly the server certificate of this SHA-256");
  parser.add_option("--interface", arguments->interface, "of udp:// to a group: name or address");
  parser.add_flag("--json", arguments->json, "print an object");
  command.action = [arguments](const Configuration&) { return tak_probe(*arguments); };
  return command;
}

std::vector<Command> tak_commands(CLI::App& app) {
  auto* tak = app.add_subcommand("tak", "TAK servers: enrolment, connection packages, a probe");
  tak->require_subcommand(1);
  return {tak_enroll_command(*tak), tak_import_command(*tak), tak_probe_command(*tak)};
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
  std::vector<Command> commands{serve_command(app),  locate_command(app), ingest_command(app), token_command(app),
                                health_command(app), smoke_command(app),  config_command(app), migrate_command(app),
                                backup_command(app), verify_command(app), restore_command(app)};
  for (auto& command : key_commands(app)) commands.push_back(std::move(command));
  for (auto& command : audit_commands(app)) commands.push_back(std::move(command));
  for (auto& command : slot_commands(app)) commands.push_back(std::move(command));
  for (auto& command : tak_commands(app)) commands.push_back(std::move(command));
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
