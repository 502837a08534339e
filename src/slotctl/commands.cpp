#include "slotctl/commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "slotctl/command_line.hpp"
#include "slotctl/git_repository.hpp"
#include "slotctl/kube.hpp"
#include "slotctl/prometheus.hpp"
#include "slotctl/report.hpp"

namespace detection::slotctl {
namespace {

class SystemTime final : public Time {
 public:
  double now_s() override {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  void sleep_s(double seconds) override { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }
};

/// One line on stderr for each thing that is new: seconds since the start, step, text.
class Progress final : public Listener {
 public:
  void begins(Step) override { last_.clear(); }
  void says(Step step, const std::string& text) override {
    if (text == last_) return;
    last_ = text;
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    std::fprintf(stderr, "%7.1f s  %-9s %s\n", seconds, std::string(step_name(step)).c_str(), text.c_str());
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::string last_{};
};

int wrong(const std::string& text) {
  std::fprintf(stderr, "slotctl: %s\n", text.c_str());
  return kWrongUsage;
}

int failed(const Error& error) {
  std::fprintf(stderr, "slotctl: %s\n", error.detail.c_str());
  return kFailed;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// The clone in which slotctl was called: whose `origin` is meant, whose objects and tools may be used.
struct WorkingFolder {
  std::string origin;
  std::filesystem::path top, tools;
};

WorkingFolder working_folder() {
  WorkingFolder folder;
  const auto ask = [](std::vector<std::string> arguments) -> std::string {
    arguments.insert(arguments.begin(), "git");
    auto done = run_child(arguments, {});
    if (!done || done->exit_code != 0) return {};
    while (done->out.ends_with('\n')) done->out.pop_back();
    return std::move(done->out);
  };
  folder.top = ask({"rev-parse", "--show-toplevel"});
  if (folder.top.empty()) return folder;
  folder.origin = ask({"remote", "get-url", "origin"});
  if (const auto tools = folder.top / ".cache/tools/bin"; std::filesystem::exists(tools / "helm")) folder.tools = tools;
  return folder;
}

bool is_digest(const std::string& text) {
  constexpr std::string_view kStart = "sha256:";
  return text.size() == kStart.size() + 64 && text.starts_with(kStart) &&
         text.find_first_not_of("0123456789abcdef", kStart.size()) == std::string::npos;
}

std::string usage_of_image(const Options& o, const std::vector<Step>& steps) {
  const bool deploys = std::ranges::find(steps, Step::kDeploy) != steps.end();
  if (!deploys) return {};
  if (o.tag.empty() && o.digest.empty() && o.from.empty() && o.config_file.empty())
    return "say what to deploy: --tag COMMIT [--digest sha256:...], --from ENV, or --config FILE";
  if (o.tag == "latest") return "--tag latest names no version";
  if (!o.digest.empty() && !is_digest(o.digest)) return "--digest must be sha256: and 64 hexadecimal digits";
  return {};
}

struct PrometheusPlace {
  std::string space, service;
  int port = 0;
};

std::optional<PrometheusPlace> place_of(const std::string& text) {
  const auto slash = text.find('/'), colon = text.find(':');
  if (slash == std::string::npos || colon == std::string::npos || slash == 0 || colon < slash + 2) return std::nullopt;
  const int port = std::atoi(text.c_str() + colon + 1);  // NOLINT(cert-err34-c): 0 is refused
  if (port < 1 || port > 65535) return std::nullopt;
  return PrometheusPlace{text.substr(0, slash), text.substr(slash + 1, colon - slash - 1), port};
}

/// Everything outside, opened for one command.
class Session {
 public:
  static Result<std::unique_ptr<Session>> open(const Options& options, const PrometheusPlace& place) {
    auto folder = TemporaryFolder::make();
    if (!folder) return std::unexpected(folder.error());
    auto session = std::unique_ptr<Session>(new Session(std::move(*folder), options, place));
    const auto here = working_folder();
    GitOptions git{options.repository.empty() ? here.origin : options.repository, options.branch, options.environment,
                   here.top, here.tools};
    if (git.url.empty())
      return fail(ErrorCode::kConfiguration, "this folder is no clone with an `origin`: say --repository URL");
    auto repository = GitRepository::open(std::move(git), session->folder_->path() / "clone");
    if (!repository) return std::unexpected(repository.error());
    session->repository_ = std::move(*repository);
    return session;
  }
  [[nodiscard]] Doors doors() { return {*repository_, kube_, prometheus_, time_, progress_}; }

 private:
  Session(std::unique_ptr<TemporaryFolder> folder, const Options& o, const PrometheusPlace& place)
      : folder_(std::move(folder)),
        kube_({.kubectl = o.kubectl,
               .context = o.context,
               .url = o.kubernetes_url,
               .space = o.space,
               .argocd_space = o.argocd_space,
               .application = o.application},
              folder_->path()),
        prometheus_({.space = o.space}, [this, url = o.prometheus_url, place]() -> Result<std::string> {
          if (!url.empty()) return url;
          return kube_.prometheus(place.space, place.service, place.port);
        }) {}

  std::unique_ptr<TemporaryFolder> folder_;
  Kube kube_;
  Prometheus prometheus_;
  SystemTime time_;
  Progress progress_;
  std::unique_ptr<GitRepository> repository_;
};

Result<Request> request_of(const Options& o, Repository& repository) {
  Request request{.environment = o.environment,
                  .application = o.application,
                  .slot = slot_named(o.slot),
                  .without_watch = o.without_watch,
                  .without_spool_check = o.without_spool_check};
  if (!o.from.empty()) {
    auto image = repository.live_image(o.from);
    if (!image) return std::unexpected(image.error());
    request.image = std::move(*image);
  } else if (!o.tag.empty() || !o.digest.empty()) {
    request.image = Image{o.image_repository, o.tag, o.digest};
  }
  if (!o.config_file.empty()) {
    auto config = parse_config(read_text(o.config_file));
    if (!config) return fail(ErrorCode::kConfiguration, o.config_file + ": " + config.error().detail);
    request.config = std::move(*config);
  }
  return request;
}

/// deploy --git-only: the commit alone, for a CI that reaches no cluster. Gates of the cluster are those of later
/// steps.
Outcome commit_only(Doors doors, const Request& request, bool dry_run) {
  constexpr int kTriesMost = 10;
  const double began_s = doors.time.now_s();
  const auto ended = [&](bool done, std::string text, std::vector<std::string> commits = {}, std::string preview = {}) {
    return Outcome{Step::kDeploy,     done, std::move(text), doors.time.now_s() - began_s, std::move(commits),
                   std::move(preview)};
  };
  for (int i = 0; i < kTriesMost; ++i) {
    Observed seen;
    auto git = doors.repository.read();
    if (!git) return ended(false, git.error().detail);
    seen.git = std::move(*git);
    seen.cluster.application = {
        .exists = true, .auto_sync = true, .sync_status = "Synced", .revision_has_wanted = true};
    const auto next = decide_deploy(seen, request);
    if (const auto* done = std::get_if<Done>(&next)) return ended(true, done->text);
    if (const auto* refused = std::get_if<Refuse>(&next)) return ended(false, refused->text);
    const auto* commit = std::get_if<Commit>(&next);
    if (commit == nullptr) return ended(true, "it is in Git already");
    if (dry_run) {
      auto preview = doors.repository.preview(seen.git.head, commit->slots);
      return preview ? ended(true, "would commit: " + commit->subject, {}, *preview)
                     : ended(false, preview.error().detail);
    }
    const auto pushed =
        doors.repository.push(seen.git.head, commit->slots, commit_message(*commit, request.environment));
    if (!pushed) return ended(false, pushed.error().detail);
    if (*pushed) return ended(true, "committed: " + commit->subject, {commit->subject});
  }
  return ended(false, "other commits came first " + std::to_string(kTriesMost) + " times; run it again");
}

int steps(const Options& o, Doors doors, const std::vector<Step>& wanted, const Request& request) {
  std::vector<Outcome> outcomes;
  if (o.git_only) {
    outcomes.push_back(commit_only(doors, request, o.dry_run));
  } else {
    Driver driver(doors, {.pause_s = o.pause_s, .most_s = o.most_s, .dry_run = o.dry_run, .roll_back = !o.no_rollback});
    outcomes = driver.run_all(wanted, request);
  }
  print(o.json ? outcomes_json(outcomes, request) : outcomes_text(outcomes));
  return std::ranges::all_of(outcomes, &Outcome::done) ? kDone : kFailed;
}

int verify_now(const Options& o, Doors doors, Observed seen) {
  const auto limits = doors.repository.thresholds();
  if (!limits) return failed(limits.error());
  const auto active = seen.git.slots.active;
  const double now_s = doors.time.now_s();
  seen.reports = doors.cluster.ask_pods(seen.cluster, active);
  seen.smoke = doors.cluster.smoke(seen.cluster, active, seen.git.slots.of(active).image);
  auto now = doors.metrics.figures(active, 0, limits->window_s);
  auto before = now ? doors.metrics.figures(active, now_s - limits->window_s, limits->window_s) : now;
  const auto git = seen.git;
  const auto checks = verify({std::move(seen), std::move(now), std::move(before), *limits});
  print(o.json ? verify_json(checks, git, o.environment) : verify_text(checks));
  return std::ranges::all_of(checks, &Check::passed) ? kDone : kFailed;
}

}  // namespace

int carry_out(Action action, const std::vector<Step>& wanted, Options o) {
  if (auto text = usage_of_image(o, wanted); !text.empty()) return wrong(text);
  if (o.environment.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return wrong("--env '" + o.environment + "' is no name of an environment");
  const auto place = place_of(o.prometheus);
  if (!place) return wrong("--prometheus must be NAMESPACE/SERVICE:PORT");
  if (o.application.empty()) o.application = "detection-api-" + o.environment;
  auto session = Session::open(o, *place);
  if (!session) return failed(session.error());
  const auto doors = (*session)->doors();
  const auto request = request_of(o, doors.repository);
  if (!request) return failed(request.error());
  if (action == Action::kSteps) return steps(o, doors, wanted, *request);
  auto seen = observe(doors.repository, doors.cluster);
  if (!seen) return failed(seen.error());
  if (action == Action::kVerify) return verify_now(o, doors, std::move(*seen));
  print(o.json ? status_json(*seen, *request) : status_text(*seen, *request));
  return kDone;
}

}  // namespace detection::slotctl
