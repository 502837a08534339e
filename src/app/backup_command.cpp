// backup, verify, restore: snapshots of the record, also beside a running serve (a restore never).

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/commands.hpp"
#include "app/open_store.hpp"
#include "app/progress_bar.hpp"
#include "app/s3_copy.hpp"
#include "detection/json_writer.hpp"
#include "store/backup/backup.hpp"
#include "store/backup/times.hpp"

namespace detection::app {
namespace {

namespace fs = std::filesystem;
namespace backup = store::backup;

int failed(const Error& error) {
  std::fprintf(stderr, "detection-api: %s\n", error.detail.c_str());
  return kFailed;
}

int wrong_usage(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kWrongUsage;
}

const char* environment(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): these commands have one thread
}

/// Of sched_setattr(2); its header declares what <sched.h> declares too.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes), policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};

/// A thread of those that serve takes the processor from this program soon after it wakes: a program that runs may end
/// its slice first, which is milliseconds long where none is named (Linux before 6.12 knows no other). Not SCHED_IDLE:
/// beside two compilers on two processors a backup came to no end, and its writes would wait in the disk's idle class,
/// where a file system's journal waits for them on behalf of all.
void give_way(double share) {
  if (share >= 1) return;
  constexpr int kLast = 19;
  constexpr std::uint64_t kSliceLeast_ns = 100'000;
  const SchedulingAttributes last{.nice = kLast, .runtime_ns = kSliceLeast_ns};
  if (::syscall(SYS_sched_setattr, 0, &last, 0) != 0) (void)::setpriority(PRIO_PROCESS, 0, kLast);
}

/// SQLite sorts in files, and a container may have no /tmp.
void sort_in(const fs::path& scratch) {
  (void)::setenv("SQLITE_TMPDIR", scratch.c_str(), 0);  // NOLINT(concurrency-mt-unsafe)
}

/// The metrics of those that serve are told. A backup stands without that, but an alert would say that there is none.
void record(const Configuration& configuration, const backup::Times& times) {
  if (const auto done = backup::record_times(backup_place(configuration), times); !done)
    std::fprintf(stderr, "detection-api: the store could not be told, so the metrics will not know: %s\n",
                 done.error().detail.c_str());
}

std::int64_t size_of(const fs::path& file) {
  std::error_code failure;
  const auto size = fs::file_size(file, failure);
  return failure ? 0 : static_cast<std::int64_t>(size);
}

void write_checked(json::Writer& w, const fs::path& file, const backup::Checked& checked) {
  const auto& manifest = checked.manifest;
  w.key("file");
  w.string(file.string());
  w.key("bytes");
  w.integer(size_of(file));
  w.key("made");
  w.string(format_rfc3339_ms(manifest.made));
  w.key("engine");
  w.string(manifest.engine);
  w.key("schema_version");
  w.integer(manifest.schema_version);
  w.key("detections");
  w.integer(manifest.rows("detection"));
  w.key("audit_records");
  w.integer(manifest.rows("audit"));
  w.key("chains");
  w.begin_array();
  for (const auto& chain : manifest.chains) {
    w.begin_object();
    w.key("name");
    w.string(chain.name);
    w.key("record");
    w.integer(chain.record);
    w.key("head_sha256");
    w.string(chain.sha256);
    w.end_object();
  }
  w.end_array();
  w.key("audit_valid");
  if (checked.audit)
    w.boolean(checked.audit->valid);
  else
    w.null();
}

std::string in_words(const backup::Checked& checked) {
  const auto& manifest = checked.manifest;
  return std::to_string(manifest.rows("detection")) + " detections and " + std::to_string(manifest.rows("audit")) +
         " audit records of " + format_rfc3339_ms(manifest.made) + ", from " +
         (manifest.engine == "postgres" ? "PostgreSQL" : "SQLite");
}

/// The chains of a record that is otherwise as it was written.
bool audit_holds(const backup::Checked& checked) {
  if (!checked.audit)
    std::fprintf(stderr,
                 "detection-api: its audit chains were not checked, it is of an older schema: --restore does that\n");
  if (!checked.audit || checked.audit->valid) return true;
  std::fprintf(stderr, "detection-api: AN AUDIT CHAIN IN IT DOES NOT HOLD: %s\n",
               checked.audit->first_bad.value_or("").c_str());
  return false;
}

Result<std::optional<S3Target>> s3_target(const S3Arguments& arguments) {
  if (arguments.url.empty()) return std::nullopt;
  auto target = parse_s3(arguments.url);
  if (!target) return fail(ErrorCode::kValidationFailed, "--s3 '" + arguments.url + "': " + target.error().detail);
  target->region = arguments.region;
  target->endpoint = arguments.endpoint;
  target->ca_file = arguments.ca_file;
  if (!arguments.endpoint.empty() && !arguments.endpoint.starts_with("https://") &&
      !arguments.endpoint.starts_with("http://"))
    return fail(ErrorCode::kValidationFailed, "--s3-endpoint must be an http or https URL");
  return std::move(*target);
}

/// The snapshot that was named, or the newest of a folder that was.
Result<fs::path> find_snapshot(const std::string& given) {
  std::error_code failure;
  if (!fs::is_directory(given, failure)) return fs::path(given);
  const auto all = backup::snapshots_in(given);
  if (all.empty()) return fail(ErrorCode::kNotFound, "there is no snapshot in " + given);
  return all.back();
}

void print_made(const backup::Made& made, const std::optional<S3Copied>& copied, const BackupArguments& arguments) {
  if (!arguments.json) {
    std::printf("%s\n  %s\n  %lld bytes; restored into scratch and compared\n", made.file.c_str(),
                in_words(made.checked).c_str(), static_cast<long long>(size_of(made.file)));
    if (copied)
      std::printf("  copied to %s as %s%s\n", arguments.s3.url.c_str(), copied->key.c_str(),
                  copied->read_back ? ", read back and compared" : ", its checksum compared");
    for (const auto& old : made.removed) std::printf("  removed %s\n", old.c_str());
    return;
  }
  std::string out;
  json::Writer w(out);
  w.begin_object();
  write_checked(w, made.file, made.checked);
  w.key("removed");
  w.begin_array();
  for (const auto& old : made.removed) w.string(old.string());
  w.end_array();
  w.key("s3");
  if (copied) {
    w.begin_object();
    w.key("key");
    w.string(copied->key);
    w.key("read_back");
    w.boolean(copied->read_back);
    w.end_object();
  } else {
    w.null();
  }
  w.end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

int make_backup(const Configuration& configuration, const BackupArguments& arguments) {
  const auto keep = parse_duration(arguments.keep);
  if (!keep) return wrong_usage("--keep '" + arguments.keep + "' must be a duration such as 30d");
  auto target = s3_target(arguments.s3);
  if (!target) return wrong_usage(target.error().detail);
  // Before the work, which may be long: a wrong setting must not show behind it.
  std::optional<S3Credentials> credentials;
  if (*target) {
    auto found = find_s3_credentials(environment);
    if (!found) return failed(found.error());
    credentials = std::move(*found);
  }
  sort_in(arguments.output);
  const double share = arguments.share_percent / 100.0;
  give_way(share);
  ProgressBar bar(!arguments.json);
  auto made = backup::make({.place = backup_place(configuration),
                            .folder = arguments.output,
                            .keep = *keep,
                            .progress = bar.follower(),
                            .share = share});
  bar.clear();
  if (!made) return failed(made.error());
  (void)audit_holds(made->checked);
  std::optional<S3Copied> copied;
  if (*target) {
    auto done = copy_to_s3(made->file, **target, *credentials, bar.follower());
    bar.clear();
    if (!done) {
      std::fprintf(stderr, "detection-api: %s is good, but could not be copied\n", made->file.c_str());
      return failed(done.error());
    }
    copied = std::move(*done);
  }
  record(configuration, {.made = made->checked.manifest.made});
  print_made(*made, copied, arguments);
  return kDone;
}

int verify_snapshot(const Configuration& configuration, const VerifyArguments& arguments) {
  const auto file = find_snapshot(arguments.file);
  if (!file) return failed(file.error());
  const auto scratch = arguments.scratch.empty() ? file->parent_path() : fs::path(arguments.scratch);
  sort_in(scratch.empty() ? fs::path(".") : scratch);
  const double share = arguments.share_percent / 100.0;
  give_way(share);
  ProgressBar bar(!arguments.json);
  const auto checked = arguments.restore ? backup::rehearse(*file, scratch, bar.follower(), share)
                                         : backup::verify(*file, bar.follower(), share);
  bar.clear();
  if (!checked) return failed(checked.error());
  const bool holds = audit_holds(*checked);
  if (arguments.record && holds) record(configuration, {.verified = system_now()});
  if (arguments.json) {
    std::string out;
    json::Writer w(out);
    w.begin_object();
    write_checked(w, *file, *checked);
    w.key("restored");
    w.boolean(arguments.restore);
    w.end_object();
    std::printf("%s\n", out.c_str());
  } else {
    std::printf("good: %s\n  %s%s\n", file->c_str(), in_words(*checked).c_str(),
                arguments.restore ? "; restored into scratch and compared" : "");
  }
  return holds ? kDone : kFailed;
}

int restore_snapshot(const Configuration& configuration, const RestoreArguments& arguments) {
  const auto file = find_snapshot(arguments.file);
  if (!file) return failed(file.error());
  ProgressBar bar(!arguments.json);
  const auto place = backup_place(configuration);
  const auto restored =
      backup::restore({.file = *file, .place = place, .replace = arguments.replace, .progress = bar.follower()});
  bar.clear();
  if (!restored) return failed(restored.error());
  (void)audit_holds(restored->checked);
  if (arguments.json) {
    std::string out;
    json::Writer w(out);
    w.begin_object();
    write_checked(w, *file, restored->checked);
    w.key("into");
    w.string(place.is_postgres() ? "postgres" : "sqlite");
    w.key("before");
    if (restored->before)
      w.string(restored->before->string());
    else
      w.null();
    w.end_object();
    std::printf("%s\n", out.c_str());
    return kDone;
  }
  std::printf("restored %s\n  %s; compared after\n", file->c_str(), in_words(restored->checked).c_str());
  if (restored->before) std::printf("  what was there before is now %s\n", restored->before->c_str());
  return kDone;
}

}  // namespace detection::app
