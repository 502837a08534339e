#include "slotctl/kube.hpp"

#include <algorithm>
#include <thread>

#include "detection/json_writer.hpp"
#include "slotctl/cluster_json.hpp"

namespace detection::slotctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kStartMost = std::chrono::seconds(20);

Error away(const std::string& why) {
  return {ErrorCode::kStoreUnavailable, "the Kubernetes API cannot be reached (" + why +
                                            "). Nothing was changed. Try: kubectl get --raw /readyz; then run the "
                                            "same command again"};
}

/// A commit's name, as the smoke test can hold it against what the binary says of itself.
bool is_commit(const std::string& tag) {
  return tag.size() >= 12 && tag.size() <= 40 && tag.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// A selector of the chart's objects with one of these components.
std::string labelled(const std::string& components) {
  return "?labelSelector=app.kubernetes.io%2Fname%3Ddetection-api%2Capp.kubernetes.io%2Fcomponent%20in%20(" +
         components + ")";
}

}  // namespace

Kube::Kube(KubeOptions options, std::filesystem::path folder)
    : options_(std::move(options)), folder_(std::move(folder)) {
  if (!options_.url.empty()) web_ = std::make_unique<Web>(options_.url, "", options_.request_most);
}

std::vector<std::string> Kube::kubectl(std::vector<std::string> arguments) const {
  std::vector<std::string> command{options_.kubectl};
  if (!options_.context.empty()) command.insert(command.end(), {"--context", options_.context});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Result<void> Kube::connect() {
  if (!options_.url.empty() || (proxy_ && proxy_->running())) return {};
  const auto socket = folder_ / "kubernetes.sock";
  std::error_code ignored;
  std::filesystem::remove(socket, ignored);
  auto started = Companion::start(kubectl({"proxy", "--unix-socket", socket.string()}), folder_ / "proxy.txt");
  if (!started) return std::unexpected(started.error());
  proxy_ = std::move(*started);
  const auto end = steady_clock::now() + kStartMost;
  while (!std::filesystem::exists(socket, ignored)) {
    if (!proxy_->running() || steady_clock::now() > end)
      return std::unexpected(away("kubectl proxy: " + ChildOutput{1, proxy_->output(), {}}.words()));
    std::this_thread::sleep_for(milliseconds(20));
  }
  web_ = std::make_unique<Web>("http://localhost", socket, options_.request_most);
  return {};
}

Result<std::string> Kube::get(const std::string& path) {
  auto answer = web_->get(path);
  if (!answer) return std::unexpected(away(answer.error().detail));
  if (answer->status == 404) return std::string();
  if (answer->status != 200) {
    const auto body = answer->body.substr(0, 300);
    if (answer->status == 401 || answer->status == 403)
      return fail(ErrorCode::kUnauthorized, "Kubernetes does not let you read " + path + ": " + body);
    return std::unexpected(away(path + " answers " + std::to_string(answer->status) + ": " + body));
  }
  return std::move(answer->body);
}

std::string Kube::application_path() const {
  return "/apis/argoproj.io/v1alpha1/namespaces/" + options_.argocd_space + "/applications/" + options_.application;
}

Result<ClusterState> Kube::read() {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  ClusterTexts texts;
  const auto space = "/namespaces/" + options_.space;
  struct Wanted {
    std::string* text;
    std::string path;
  };
  const std::string deployments = "/apis/apps/v1" + space + "/deployments/detection-api-",
                    scalers = "/apis/autoscaling/v2" + space + "/horizontalpodautoscalers/detection-api-";
  const std::array wanted{
      Wanted{&texts.application, application_path()},
      Wanted{&texts.service, "/api/v1" + space + "/services/detection-api"},
      Wanted{&texts.deployments[0], deployments + "blue"},
      Wanted{&texts.deployments[1], deployments + "green"},
      Wanted{&texts.autoscalers[0], scalers + "blue"},
      Wanted{&texts.autoscalers[1], scalers + "green"},
      Wanted{&texts.pods, "/api/v1" + space + "/pods" + labelled("api%2Cmigrate%2Cfence")},
      Wanted{&texts.jobs, "/apis/batch/v1" + space + "/jobs" + labelled("migrate%2Cfence")},
      Wanted{&texts.events,
             "/api/v1" + space + "/events?fieldSelector=reason%3DFailedCreate%2CinvolvedObject.kind%3DJob"}};
  for (const auto& one : wanted) {
    auto body = get(one.path);
    if (!body) return std::unexpected(body.error());
    *one.text = std::move(*body);
  }
  return read_cluster(texts);
}

Result<bool> Kube::patch(const std::string& body) {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  auto answer = web_->merge_patch(application_path(), body);
  if (!answer) return std::unexpected(away(answer.error().detail));
  // 409: it has changed since it was seen; the next look decides anew.
  if (answer->status == 200 || answer->status == 409) return answer->status == 200;
  return fail(ErrorCode::kUnauthorized, "the Application " + options_.application + " cannot be patched: " +
                                            std::to_string(answer->status) + " " + answer->body.substr(0, 300));
}

Result<bool> Kube::refresh() {
  return patch(R"({"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}})");
}

Result<bool> Kube::end_sync(const Application& seen) {
  std::string body = R"({"metadata":{"resourceVersion":)";
  json::append_string(body, seen.resource_version);
  return patch(body + R"(},"status":{"operationState":{"phase":"Terminating"}}})");
}

Result<bool> Kube::start_sync(const Application& seen, const std::string& revision) {
  std::string body = R"({"metadata":{"resourceVersion":)";
  json::append_string(body, seen.resource_version);
  body += R"(},"operation":{"initiatedBy":{"username":"slotctl"},"sync":{"prune":true,"revision":)";
  json::append_string(body, revision);
  return patch(body + R"(,"syncOptions":["ServerSideApply=true","ApplyOutOfSyncOnly=true","PruneLast=true"]}}})");
}

Result<ChildOutput> Kube::execute(const std::string& pod, std::vector<std::string> command) const {
  std::vector<std::string> arguments{"--namespace", options_.space,  "exec", pod,
                                     "--container", "detection-api", "--",   "/detection-api"};
  arguments.insert(arguments.end(), command.begin(), command.end());
  return run_child(kubectl(std::move(arguments)), {{}, {}, options_.exec_most});
}

SmokeResult Kube::smoke(const ClusterState& seen, Slot slot, const Image& image) {
  SmokeResult result{slot, seen.of(slot).names, true, {}};
  std::vector<std::string> command{"smoke",          "--json",
                                   "--url",          "http://127.0.0.1:8000",
                                   "--metrics-url",  "http://127.0.0.1:9100",
                                   "--jwt-key-file", "/etc/detection/jwt/secret_key",
                                   "--expect-slot",  std::string(slot_name(slot))};
  if (is_commit(image.tag)) command.insert(command.end(), {"--expect-commit", image.tag});
  for (const auto& pod : result.pods) {
    const auto ran = execute(pod, command);
    if (ran && ran->exit_code == 0) continue;
    result.passed = false;
    const auto failures = ran ? read_smoke_failures(ran->out) : std::nullopt;
    result.text += (result.text.empty() ? "" : "; ") + pod + ": " +
                   (failures ? *failures
                    : ran    ? ran->words()
                             : ran.error().detail);
  }
  if (result.pods.empty()) {
    result.passed = false;
    result.text = "no pod of it is ready";
  }
  if (result.passed) result.text = "7 of 7 checks passed in each of " + std::to_string(result.pods.size()) + " pods";
  return result;
}

PodReports Kube::ask_pods(const ClusterState& seen, Slot slot) {
  PodReports reports{slot, {}};
  for (const auto& pod : seen.of(slot).present) {
    // 503 is an answer as well: its body says why.
    const auto ran = execute(pod, {"health", "--ready", "--json", "--url", "http://127.0.0.1:8000"});
    if (ran && !ran->out.empty())
      reports.pods.push_back(read_ready(pod, ran->out));
    else
      reports.pods.push_back({.pod = pod, .error = ran ? ran->words() : ran.error().detail});
  }
  return reports;
}

Result<std::string> Kube::prometheus(const std::string& space, const std::string& service, int port) {
  if (forward_ && forward_->running() && !forwarded_.empty()) return forwarded_;
  forwarded_.clear();
  auto started = Companion::start(kubectl({"--namespace", space, "port-forward", "--address", "127.0.0.1",
                                           "service/" + service, ":" + std::to_string(port)}),
                                  folder_ / "forward.txt");
  if (!started) return std::unexpected(started.error());
  forward_ = std::move(*started);
  constexpr std::string_view kSign = "Forwarding from 127.0.0.1:";
  const auto end = steady_clock::now() + kStartMost;
  for (;;) {
    const auto said = forward_->output();
    if (const auto at = said.find(kSign); at != std::string::npos)
      if (const auto stop = said.find(" ->", at); stop != std::string::npos) {
        forwarded_ = "http://127.0.0.1:" + said.substr(at + kSign.size(), stop - at - kSign.size());
        return forwarded_;
      }
    if (!forward_->running() || steady_clock::now() > end)
      return fail(ErrorCode::kStoreUnavailable, "no way to Prometheus (kubectl port-forward service/" + service +
                                                    " in " + space + "): " + ChildOutput{1, said, {}}.words());
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace detection::slotctl
