#pragma once
// The subcommands. Each returns an exit code: 0 done, 1 failed, 2 wrong usage; results go to stdout, all else to
// stderr.

#include <optional>
#include <string>
#include <vector>

#include "app/options.hpp"

namespace detection::app {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

/// Runs until SIGTERM or SIGINT.
int serve(const Configuration& configuration);

/// NDJSON from `input` ("-": stdin) to stdout, one line for each.
int locate(const Configuration& configuration, const std::string& input);

struct IngestKlvArguments {
  std::vector<std::string> files;  ///< "-": stdin
  std::string url;                 ///< empty: only compare with the stated frame centres
  std::string token;
  std::string token_file;
  std::string source = "klv";
  std::string camera_id = "uas";
  std::string accuracy;
  std::string time;  ///< empty: as in the packets; "now": shifted so that the last one is now
  std::optional<double> ground_elevation_m;
  bool json = false;
};
int ingest_klv(const Configuration& configuration, const IngestKlvArguments& arguments);

struct TokenArguments {
  std::string subject;
  std::string scope;
  std::string life = "60m";
  bool json = false;
};
int token(const Configuration& configuration, const TokenArguments& arguments);

/// The API keys of a store; may run beside `serve`, which follows within two seconds.
struct KeyArguments {
  std::string name;
  std::string scope;
  std::string life;    ///< empty: without an end
  std::string id;      ///< of rotate and revoke
  bool force = false;  ///< of rotate: also while the grace of an earlier one runs
  bool json = false;
};
int key_create(const Configuration& configuration, const KeyArguments& arguments);
int key_list(const Configuration& configuration, const KeyArguments& arguments);
int key_rotate(const Configuration& configuration, const KeyArguments& arguments);
int key_revoke(const Configuration& configuration, const KeyArguments& arguments);

/// Asks a running service; 0 when it answers that it is alive (or, with `ready`, that it is ready).
struct HealthArguments {
  std::string url;
  bool ready = false;
  bool json = false;
};
int health(const Configuration& configuration, const HealthArguments& arguments);

/// The seven checks of a slot before it gets traffic: 0 when all passed.
struct SmokeArguments {
  std::string url;          ///< of the service, as http://detection-api-preview:8000
  std::string metrics_url;  ///< as http://detection-api-preview:9100
  std::string token_file;   ///< empty: a token is made with --jwt-key-file
  std::string slot;         ///< that /health must name; empty: any
  std::string commit;       ///< that /health must name, or a longer form of it; empty: any
  bool json = false;
};
int smoke(const Configuration& configuration, SmokeArguments arguments);

/// The audit of a store; may run beside `serve`.
struct AuditArguments {
  std::string output;  ///< of export; empty or "-": stdout
  std::string before;  ///< of prune, RFC 3339; empty: what is older than `older_than`
  std::string older_than = "90d";
  bool json = false;
};
/// Walks the chains; 1 when one does not hold. Checks signatures of tombstones when keys are configured.
int audit_verify(const Configuration& configuration, const AuditArguments& arguments);
/// Every record as NDJSON.
int audit_export(const Configuration& configuration, const AuditArguments& arguments);
/// Removes old records and leaves signed tombstones.
int audit_prune(const Configuration& configuration, const AuditArguments& arguments);

/// Brings the schema of the store up to date; prints its version before and after.
struct MigrateArguments {
  bool json = false;
};
int migrate(const Configuration& configuration, const MigrateArguments& arguments);

/// A copy of each snapshot in an S3 bucket; its credentials are in the environment.
struct S3Arguments {
  std::string url;  ///< s3://bucket/prefix; empty: no copy
  std::string region = "us-east-1";
  std::string endpoint;  ///< empty: Amazon's
  std::string ca_file;
};

inline constexpr int kShareBesideServe = 5;  ///< of the time that a backup works, percent; the rest it sleeps

/// A snapshot of the store into a folder, restored into scratch and compared; may run beside `serve`.
struct BackupArguments {
  std::string output;
  std::string keep = "30d";
  int share_percent = kShareBesideServe;
  S3Arguments s3;
  bool json = false;
};
int make_backup(const Configuration& configuration, const BackupArguments& arguments);

/// Whether a snapshot is what was written; 1 also when an audit chain in it does not hold.
struct VerifyArguments {
  std::string file;      ///< or a folder: its newest
  bool restore = false;  ///< also into scratch
  std::string scratch;   ///< empty: beside the snapshot
  bool record = false;   ///< tell the store, for the metrics
  int share_percent = kShareBesideServe;
  bool json = false;
};
int verify_snapshot(const Configuration& configuration, const VerifyArguments& arguments);

/// A snapshot into a place that nobody serves.
struct RestoreArguments {
  std::string file;  ///< or a folder: its newest
  bool replace = false;
  bool json = false;
};
int restore_snapshot(const Configuration& configuration, const RestoreArguments& arguments);

/// The release fence: which slot's processes deliver.
struct SlotArguments {
  std::string slot;               ///< of set
  std::string actor = "command";  ///< of set, for the audit
  bool json = false;
};
/// Prints the slot and nothing else; "none" where none was ever set.
int slot_get(const Configuration& configuration, const SlotArguments& arguments);
/// Prints it too. Audited where it changes something.
int slot_set(const Configuration& configuration, const SlotArguments& arguments);

enum class ConfigForm { kTable, kJson, kMarkdown };
int show_config(const Configuration& configuration, ConfigForm form);

}  // namespace detection::app
