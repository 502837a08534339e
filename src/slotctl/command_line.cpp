#include "slotctl/command_line.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

#include "slotctl/build_info.hpp"
#include "slotctl/commands.hpp"

namespace detection::slotctl {
namespace {

constexpr const char* kDescription =
    "Drives a blue-green release through Git and Argo CD. Its state is Git and the cluster alone: a run that was "
    "killed is "
    "begun again with the same command, and two at once cannot hurt each other. Steps of a release: deploy, smoke, "
    "switch, "
    "watch, finalize; `release` does them one after the other.";
constexpr const char* kFooter =
    "Needs git, kubectl (its kubeconfig says which cluster), helm and python3-yaml.\nExit 0: done, 1: refused or "
    "failed (the text "
    "says what to do), 2: wrong usage.";

struct Command {
  CLI::App* parser = nullptr;
  Action action = Action::kSteps;
  std::vector<Step> steps;
};

void common_options(CLI::App& parser, Options& o) {
  parser.add_option("--env", o.environment, "environment: a folder of kubernetes/environments")->required();
  parser.add_option("--repository", o.repository,
                    "what Argo CD follows, as git takes it; default: `origin` of the working folder");
  parser.add_option("--branch", o.branch, "branch of it")->capture_default_str();
  parser.add_option("--context", o.context, "context of the kubeconfig; default: its current one");
  parser.add_option("--kubectl", o.kubectl, "the program")->capture_default_str();
  parser.add_option("--kubernetes-url", o.kubernetes_url,
                    "a `kubectl proxy` that runs already, in place of one of our own");
  parser.add_option("--namespace", o.space, "of the service")->capture_default_str();
  parser.add_option("--application", o.application, "Argo CD's Application; default: detection-api-ENV");
  parser.add_option("--argocd-namespace", o.argocd_space, "where it is")->capture_default_str();
  parser.add_option("--prometheus", o.prometheus, "NAMESPACE/SERVICE:PORT, reached by kubectl port-forward")
      ->capture_default_str();
  parser.add_option("--prometheus-url", o.prometheus_url, "its address, in place of a port-forward");
  parser.add_flag("--json", o.json, "print an object; progress stays on stderr");
}

void step_options(CLI::App& parser, Options& o) {
  parser.add_flag("--dry-run", o.dry_run, "look at every gate, show what would be committed, change nothing");
  parser.add_option("--timeout", o.most_s, "seconds that a step may take, beside the watch's own")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  parser.add_option("--pause", o.pause_s, "seconds between two looks")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 60.0));
}

void image_options(CLI::App& parser, Options& o) {
  auto* tag = parser.add_option("--tag", o.tag, "image tag: the commit");
  auto* digest = parser.add_option("--digest", o.digest, "image digest, sha256:...: what is pulled where it is given");
  auto* repository = parser.add_option("--image-repository", o.image_repository,
                                       "image without a tag; default: that of the live slot");
  parser.add_option("--from", o.from, "the image that is live in another environment (by digest where it has one)")
      ->excludes(tag)
      ->excludes(digest)
      ->excludes(repository);
  parser
      .add_option("--config", o.config_file,
                  "file of options for the slot (YAML, as `config` of the chart); default: those of the live slot")
      ->check(CLI::ExistingFile);
}

void finalize_options(CLI::App& parser, Options& o) {
  parser.add_flag("--without-watch", o.without_watch, "also before a watch has passed");
  parser.add_flag("--without-spool-check", o.without_spool_check,
                  "also when a pod of the old slot cannot be asked what its spool holds");
}

std::vector<Command> commands(CLI::App& app, Options& o) {
  std::vector<Command> all;
  const auto add = [&](const char* name, const char* help, Action action, std::vector<Step> steps) -> CLI::App& {
    auto* parser = app.add_subcommand(name, help);
    common_options(*parser, o);
    if (action == Action::kSteps) step_options(*parser, o);
    all.push_back({parser, action, std::move(steps)});
    return *parser;
  };
  auto& deploy = add("deploy", "Give the other slot a version and as many pods as the live one has", Action::kSteps,
                     {Step::kDeploy});
  image_options(deploy, o);
  deploy.add_flag("--git-only", o.git_only,
                  "only the commit, without a look at the cluster (for a CI that reaches none)");
  add("smoke", "The seven checks in each pod of the other slot", Action::kSteps, {Step::kSmoke})
      .add_option("--slot", o.slot, "blue or green; default: the one that is not live")
      ->check(CLI::IsMember({"blue", "green"}));
  add("switch", "Smoke, then move traffic and delivery to the other slot", Action::kSteps, {Step::kSwitch});
  add("watch", "Watch the figures of the new slot (kubernetes/environments/watch.yaml); bad ones roll back",
      Action::kSteps, {Step::kWatch})
      .add_flag("--no-rollback", o.no_rollback, "only say so when they are bad");
  finalize_options(add("finalize", "Take the old slot to 0, once the watch has passed and it holds nothing",
                       Action::kSteps, {Step::kFinalize}),
                   o);
  add("rollback", "Back to the slot before the last switch; a release that was not switched to is given up",
      Action::kSteps, {Step::kRollback})
      .add_option("--to", o.slot, "blue or green: end there, whatever was before")
      ->check(CLI::IsMember({"blue", "green"}));
  auto& release = add("release", "deploy, smoke, switch, watch, finalize", Action::kSteps,
                      {Step::kDeploy, Step::kSmoke, Step::kSwitch, Step::kWatch, Step::kFinalize});
  image_options(release, o);
  finalize_options(release, o);
  add("status", "Where the release is, what differs from Git, and what comes next", Action::kStatus, {});
  add("verify", "The post-deployment matrix of the live slot; exit 1 when a row fails", Action::kVerify, {});
  return all;
}

int parsed_run(int argc, char** argv) {
  CLI::App app(kDescription, "slotctl");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("slotctl ") + kVersion + " (" + kCommit + ")");
  app.require_subcommand(1);
  Options options;
  const auto all = commands(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kDone : kWrongUsage;
  }
  for (const auto& command : all)
    if (command.parser->parsed()) return carry_out(command.action, command.steps, std::move(options));
  return kWrongUsage;
}

}  // namespace

int run(int argc, char** argv) {
  try {
    return parsed_run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "slotctl: %s\n", e.what());
    return kFailed;
  }
}

}  // namespace detection::slotctl
