// audit verify, export, prune: the audit of a store, also beside a running serve.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "app/assemble.hpp"
#include "app/commands.hpp"
#include "app/open_store.hpp"
#include "detection/json_writer.hpp"
#include "security/authority.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {
namespace {

constexpr std::string_view kActor = "command";

int failed(const Error& error) {
  std::fprintf(stderr, "detection-api: %s\n", error.detail.c_str());
  return error.code == ErrorCode::kValidationFailed ? kWrongUsage : kFailed;
}

int wrong_usage(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kWrongUsage;
}

/// The store, and the keys that tombstones are signed with where some are configured.
class Audit {
 public:
  Audit() : log_(STDERR_FILENO, telemetry::Level::kWarning) {}

  Result<void> open(const Configuration& configuration, bool writing) {
    auto store = open_store(configuration, writing ? StoreRole::kCommand : StoreRole::kRead);
    if (!store) return std::unexpected(std::move(store.error()));
    store_ = std::move(*store);
    return {};
  }

  /// False when no key is configured.
  Result<bool> take_keys(const Configuration& configuration) {
    if (configuration.text("jwt-key-file").empty() && configuration.text("jwt-key-dir").empty()) return false;
    auto authority = security::Authority::open(authority_options(configuration), *store_, metrics_, log_);
    if (!authority) return std::unexpected(std::move(authority.error()));
    authority_ = std::move(*authority);
    store_->set_tombstone_signer(tombstone_signer(*authority_));
    return true;
  }

  [[nodiscard]] store::Store& store() { return *store_; }

 private:
  telemetry::Metrics metrics_;
  telemetry::Log log_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<security::Authority> authority_;  // uses the store, which has no use for it once the command is done
};

void print_json(const store::AuditVerdict& verdict, bool signatures_checked) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("valid");
  w.boolean(verdict.valid);
  w.key("records");
  w.integer(verdict.records);
  w.key("chains");
  w.begin_array();
  for (const auto& chain : verdict.chains) {
    w.begin_object();
    w.key("name");
    w.string(chain.name);
    w.key("records");
    w.integer(chain.records);
    w.key("head_sha256");
    w.string(chain.head_sha256);
    w.key("pruned_up_to");
    w.integer(chain.pruned_up_to);
    w.end_object();
  }
  w.end_array();
  w.key("first_bad");
  if (verdict.first_bad)
    w.string(*verdict.first_bad);
  else
    w.null();
  w.key("signatures_checked");
  w.boolean(signatures_checked);
  w.end_object();
  std::printf("%s\n", out.c_str());
}

void print_text(const store::AuditVerdict& verdict, bool signatures_checked) {
  std::printf("%s: %lld records in %zu chains\n", verdict.valid ? "valid" : "NOT VALID",
              static_cast<long long>(verdict.records), verdict.chains.size());
  bool pruned = false;
  for (const auto& chain : verdict.chains) {
    std::printf("  %s: %lld records, head %s", chain.name.c_str(), static_cast<long long>(chain.records),
                chain.head_sha256.c_str());
    if (chain.pruned_up_to > 0) std::printf(", pruned up to record %lld", static_cast<long long>(chain.pruned_up_to));
    std::printf("\n");
    pruned |= chain.pruned_up_to > 0;
  }
  if (verdict.first_bad) std::printf("  first bad: %s\n", verdict.first_bad->c_str());
  if (pruned && !signatures_checked)
    std::printf("  the signatures of the tombstones were not checked: give --jwt-key-file or --jwt-key-dir\n");
}

Error file_error(const std::string& what, const std::filesystem::path& path) {
  return {ErrorCode::kConfiguration, what + " " + path.string() + ": " + std::generic_category().message(errno)};
}

/// A file that is there whole or not at all, for its owner only.
class WholeFile {
 public:
  explicit WholeFile(std::filesystem::path path)
      : path_(std::move(path)), part_(path_.string() + ".part-" + std::to_string(::getpid())) {}
  ~WholeFile() {
    if (file_ == nullptr) return;
    (void)std::fclose(file_);
    (void)::unlink(part_.c_str());
  }
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  Result<std::FILE*> open() {
    const int descriptor = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) return std::unexpected(file_error("cannot make", part_));
    file_ = ::fdopen(descriptor, "w");
    return file_;
  }
  Result<void> finish() {
    if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0 || ::rename(part_.c_str(), path_.c_str()) != 0)
      return std::unexpected(file_error("cannot write", path_));
    (void)std::fclose(file_);
    file_ = nullptr;
    return {};
  }

 private:
  const std::filesystem::path path_, part_;
  std::FILE* file_ = nullptr;
};

Result<void> write_export(store::Store& store, std::FILE* out) {
  bool written = true;
  auto done = store.export_audit([&](const store::AuditRecordText& record) {
    written = std::fwrite(record.json.data(), 1, record.json.size(), out) == record.json.size() &&
              std::fputc('\n', out) != EOF;
    return written;
  });
  if (!done) return done;
  if (!written || std::fflush(out) != 0)
    return fail(ErrorCode::kConfiguration, "cannot write the export: " + std::generic_category().message(errno));
  return {};
}

}  // namespace

int audit_verify(const Configuration& configuration, const AuditArguments& arguments) {
  Audit audit;
  if (auto opened = audit.open(configuration, false); !opened) return failed(opened.error());
  const auto keys = audit.take_keys(configuration);
  if (!keys) return failed(keys.error());
  const auto verdict = audit.store().verify_audit();
  if (!verdict) return failed(verdict.error());
  if (arguments.json)
    print_json(*verdict, *keys);
  else
    print_text(*verdict, *keys);
  return verdict->valid ? kDone : kFailed;
}

int audit_export(const Configuration& configuration, const AuditArguments& arguments) {
  Audit audit;
  if (auto opened = audit.open(configuration, false); !opened) return failed(opened.error());
  if (arguments.output.empty() || arguments.output == "-") {
    const auto done = write_export(audit.store(), stdout);
    return done ? kDone : failed(done.error());
  }
  WholeFile file(arguments.output);
  const auto out = file.open();
  if (!out) return failed(out.error());
  if (auto done = write_export(audit.store(), *out); !done) return failed(done.error());
  const auto done = file.finish();
  return done ? kDone : failed(done.error());
}

int audit_prune(const Configuration& configuration, const AuditArguments& arguments) {
  UtcMicros before{};
  if (!arguments.before.empty()) {
    const auto time = parse_rfc3339(arguments.before);
    if (!time) return wrong_usage("--before '" + arguments.before + "': " + time.error().detail);
    before = *time;
  } else {
    const auto age = parse_duration(arguments.older_than);
    if (!age) return wrong_usage("--older-than '" + arguments.older_than + "' must be a duration such as 90d");
    before = system_now() + -*age;
  }
  // A signature is what a tombstone is for, so no key is no start.
  if (configuration.text("jwt-key-file").empty() && configuration.text("jwt-key-dir").empty())
    return wrong_usage(
        "audit prune needs --jwt-key-file or --jwt-key-dir: what stands for the pruned records is signed");
  Audit audit;
  if (auto opened = audit.open(configuration, true); !opened) return failed(opened.error());
  if (const auto keys = audit.take_keys(configuration); !keys) return failed(keys.error());
  const auto removed = audit.store().prune_audit(before, kActor);
  audit.store().close();
  if (!removed) return failed(removed.error());
  if (arguments.json)
    std::printf("{\"before\":\"%s\",\"removed\":%lld}\n", format_rfc3339_us(before).c_str(),
                static_cast<long long>(*removed));
  else
    std::printf("%lld records from before %s were removed\n", static_cast<long long>(*removed),
                format_rfc3339_us(before).c_str());
  return kDone;
}

}  // namespace detection::app
