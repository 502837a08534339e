#include "slotctl/git_repository.hpp"

#include <charconv>
#include <cstdlib>
#include <fstream>

namespace detection::slotctl {
namespace {

/// Versions of the slots file that are looked at for the last switch.
constexpr int kVersionsMost = 200;

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

double number(std::string_view text) {
  long value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return static_cast<double>(value);
}

}  // namespace

Result<ChildOutput> GitRepository::git(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"git", "-C", folder_.string()});
  return run_child(arguments,
                   {{}, {"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0"}, std::chrono::seconds(120)});
}

Result<std::string> GitRepository::ask(std::vector<std::string> arguments) const {
  const auto what = "git " + arguments.front();
  auto done = git(std::move(arguments));
  if (!done) return std::unexpected(done.error());
  if (done->exit_code != 0) return fail(ErrorCode::kStoreUnavailable, what + ": " + done->words());
  return trimmed(std::move(done->out));
}

Result<std::unique_ptr<GitRepository>> GitRepository::open(GitOptions options, std::filesystem::path folder) {
  std::vector<std::string> command{"git",      "clone",        "--quiet",       "--no-tags",         "--single-branch",
                                   "--branch", options.branch, "--no-checkout", "--filter=blob:none"};
  if (!options.reference.empty()) command.insert(command.end(), {"--reference-if-able", options.reference.string()});
  command.insert(command.end(), {"--", options.url, folder.string()});
  const auto cloned = run_child(command, {{}, {"GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}, std::chrono::seconds(300)});
  if (!cloned) return std::unexpected(cloned.error());
  if (cloned->exit_code != 0)
    return fail(ErrorCode::kStoreUnavailable,
                "Git cannot be read: " + cloned->words() +
                    ". Is the server up, is --repository right, may you read it? git ls-remote " + options.url);
  auto made = std::unique_ptr<GitRepository>(new GitRepository(std::move(options), std::move(folder)));
  if (auto done = made->ask({"sparse-checkout", "set", "kubernetes"}); !done) return std::unexpected(done.error());
  return made;
}

Result<std::string> GitRepository::fetch() const {
  auto fetched = ask({"fetch", "--quiet", "--no-tags", "origin",
                      "+refs/heads/" + options_.branch + ":refs/remotes/origin/" + options_.branch});
  if (!fetched)
    return fail(ErrorCode::kStoreUnavailable, "Git is away (" + fetched.error().detail +
                                                  "). Nothing was changed. Try: git ls-remote " + options_.url +
                                                  "; then run the same command again");
  return ask({"rev-parse", "refs/remotes/origin/" + options_.branch});
}

Result<GitState> GitRepository::state_of(const std::string& head) const {
  const auto environment = "kubernetes/environments/" + options_.environment;
  auto wanted =
      ask({"log", "-1", "--format=%H", head, "--", environment, "kubernetes/manifests/" + options_.environment});
  if (!wanted) return std::unexpected(wanted.error());
  // Fields end in NUL, versions in SOH: a message may hold anything else.
  auto log =
      ask({"log", "-n", std::to_string(kVersionsMost), "--format=%H%x00%ct%x00%B%x00%x01", head, "--", slots_path()});
  if (!log) return std::unexpected(log.error());
  std::vector<Version> versions;
  for (std::string_view rest = *log; !rest.empty();) {
    auto one = rest.substr(0, rest.find('\x01'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    if (one.starts_with('\n')) one.remove_prefix(1);
    const auto first = one.find('\0'), second = one.find('\0', first + 1), third = one.find('\0', second + 1);
    if (third == std::string_view::npos) break;
    Version version{std::string(one.substr(0, first)),
                    number(one.substr(first + 1, second - first - 1)),
                    std::string(one.substr(second + 1, third - second - 1)),
                    {}};
    auto text = ask({"show", version.revision + ":" + slots_path()});
    auto slots = text ? parse_slots(*text) : Result<Slots>(std::unexpected(text.error()));
    if (!slots) {
      if (!versions.empty()) break;  // older than the form of the file
      return fail(ErrorCode::kConfiguration,
                  slots_path() + " at " + short_revision(version.revision) + ": " + slots.error().detail);
    }
    version.slots = std::move(*slots);
    const bool before_switch = !versions.empty() && version.slots.active != versions.front().slots.active;
    versions.push_back(std::move(version));
    if (before_switch) break;
  }
  if (versions.empty())
    return fail(ErrorCode::kConfiguration,
                "there is no " + slots_path() + " on " + options_.branch + ": is --env right?");
  return GitState{head, *wanted, versions.front().slots, history_of(versions)};
}

Result<GitState> GitRepository::read() {
  const auto head = fetch();
  if (!head) return std::unexpected(head.error());
  if (last_ && last_->head == *head) return *last_;
  auto state = state_of(*head);
  if (state) last_ = *state;
  return state;
}

Result<Thresholds> GitRepository::thresholds() {
  const auto head = fetch();
  if (!head) return std::unexpected(head.error());
  std::string path = "kubernetes/environments/" + options_.environment + "/watch.yaml";
  auto text = ask({"show", *head + ":" + path});
  if (!text) {
    path = "kubernetes/environments/watch.yaml";
    text = ask({"show", *head + ":" + path});
  }
  if (!text) return fail(ErrorCode::kConfiguration, "there is no " + path + ": " + text.error().detail);
  auto limits = parse_thresholds(*text);
  if (!limits) return fail(ErrorCode::kConfiguration, path + ": " + limits.error().detail);
  return limits;
}

Result<void> GitRepository::write(const std::string& base, const Slots& slots) const {
  if (auto done = ask({"checkout", "--quiet", "--force", "--detach", base}); !done)
    return std::unexpected(done.error());
  if (auto done = ask({"clean", "--quiet", "-ffdx"}); !done) return std::unexpected(done.error());
  std::ofstream file(folder_ / slots_path(), std::ios::binary | std::ios::trunc);
  file << format_slots(slots, options_.environment);
  file.close();
  if (!file) return fail(ErrorCode::kInternal, (folder_ / slots_path()).string() + " cannot be written");
  ChildOptions how{folder_, {}, std::chrono::seconds(120)};
  if (!options_.tools.empty()) {
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
    how.environment.push_back("PATH=" + options_.tools.string() + (path != nullptr ? std::string(":") + path : ""));
  }
  const auto rendered =
      run_child(std::vector<std::string>{(folder_ / "kubernetes/render").string(), options_.environment}, how);
  if (!rendered) return std::unexpected(rendered.error());
  if (rendered->exit_code != 0)
    return fail(ErrorCode::kConfiguration, "the values do not render: " + rendered->words());
  auto added = ask({"add", "--all", "kubernetes/environments/" + options_.environment,
                    "kubernetes/manifests/" + options_.environment});
  if (!added) return std::unexpected(added.error());
  return {};
}

Result<bool> GitRepository::push(const std::string& base, const Slots& slots, const std::string& message) {
  if (auto done = write(base, slots); !done) return std::unexpected(done.error());
  if (auto done = ask({"commit", "--quiet", "--message", message}); !done) return std::unexpected(done.error());
  const auto ours = ask({"rev-parse", "HEAD"});
  if (!ours) return std::unexpected(ours.error());
  // Without force: the server takes it only upon `base`. That is the compare-and-swap.
  const auto pushed = git({"push", "--quiet", "origin", "HEAD:refs/heads/" + options_.branch});
  if (pushed && pushed->exit_code == 0) return true;
  const auto words = pushed ? pushed->words() : pushed.error().detail;
  // The answer may have been lost, or somebody may have been first: what the branch is now says which.
  const auto head = fetch();
  if (!head) return std::unexpected(head.error());
  if (contains(*head, *ours)) return true;
  if (*head != base) return false;
  return fail(ErrorCode::kStoreUnavailable, "the commit was not taken: " + words +
                                                ". Nothing was changed. May you push to " + options_.branch + " of " +
                                                options_.url + "?");
}

Result<std::string> GitRepository::preview(const std::string& base, const Slots& slots) {
  if (auto done = write(base, slots); !done) return std::unexpected(done.error());
  auto change = ask({"diff", "--cached", "--no-color", "--", slots_path()});
  if (!change) return change;
  auto files = ask({"diff", "--cached", "--stat", "--no-color"});
  if (!files) return files;
  return *change + "\n" + *files;
}

bool GitRepository::contains(const std::string& revision, const std::string& ancestor) {
  if (revision.empty() || ancestor.empty()) return false;
  if (revision == ancestor) return true;
  const std::pair key{revision, ancestor};
  if (const auto known = contained_.find(key); known != contained_.end()) return known->second;
  auto asked = git({"merge-base", "--is-ancestor", ancestor, revision});
  // Not known here: pushed since the last look, perhaps. A sync of a newer commit must not be taken for one of an
  // older.
  if (asked && asked->exit_code > 1 && fetch()) asked = git({"merge-base", "--is-ancestor", ancestor, revision});
  const bool is = asked && asked->exit_code == 0;
  if (asked && asked->exit_code <= 1) contained_[key] = is;
  return is;
}

Result<Image> GitRepository::live_image(const std::string& environment) {
  const auto head = fetch();
  if (!head) return std::unexpected(head.error());
  const auto path = "kubernetes/environments/" + environment + "/slots.yaml";
  const auto text = ask({"show", *head + ":" + path});
  if (!text) return fail(ErrorCode::kConfiguration, "there is no " + path + " on " + options_.branch);
  auto slots = parse_slots(*text);
  if (!slots) return fail(ErrorCode::kConfiguration, path + ": " + slots.error().detail);
  return slots->of(slots->active).image;
}

}  // namespace detection::slotctl
