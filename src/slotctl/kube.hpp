#pragma once
// Kubernetes as an operator reaches it: through kubectl and its kubeconfig, whatever signs one in there. Reads go over
// one `kubectl proxy` on a socket that only this user can open; checks run inside the pods by `kubectl exec`.

#include <filesystem>
#include <memory>
#include <string>

#include "slotctl/child.hpp"
#include "slotctl/ports.hpp"
#include "slotctl/web.hpp"

namespace detection::slotctl {

struct KubeOptions {
  std::string kubectl = "kubectl";
  std::string context{};  ///< of the kubeconfig; empty: its current one
  std::string url{};      ///< an API without a sign-in (a proxy that runs already); empty: kubectl proxy
  std::string space = "detection-system";
  std::string argocd_space = "argocd";
  std::string application{};
  std::chrono::milliseconds request_most = std::chrono::seconds(20);
  std::chrono::milliseconds exec_most = std::chrono::seconds(60);
};

class Kube final : public Cluster {
 public:
  /// `folder`: for the socket and kubectl's output; it must outlive this.
  Kube(KubeOptions options, std::filesystem::path folder);

  [[nodiscard]] Result<ClusterState> read() override;
  [[nodiscard]] Result<bool> refresh() override;
  [[nodiscard]] Result<bool> end_sync(const Application& seen) override;
  [[nodiscard]] Result<bool> start_sync(const Application& seen, const std::string& revision) override;
  [[nodiscard]] SmokeResult smoke(const ClusterState& seen, Slot slot, const Image& image) override;
  [[nodiscard]] PodReports ask_pods(const ClusterState& seen, Slot slot) override;

  /// Base URL of a port-forward to Prometheus, begun when it is first asked for and again when it has ended.
  [[nodiscard]] Result<std::string> prometheus(const std::string& space, const std::string& service, int port);

 private:
  [[nodiscard]] Result<void> connect();
  /// The body; empty for 404.
  [[nodiscard]] Result<std::string> get(const std::string& path);
  [[nodiscard]] Result<bool> patch(const std::string& body);
  [[nodiscard]] std::vector<std::string> kubectl(std::vector<std::string> arguments) const;
  [[nodiscard]] Result<ChildOutput> execute(const std::string& pod, std::vector<std::string> command) const;
  [[nodiscard]] std::string application_path() const;

  KubeOptions options_;
  std::filesystem::path folder_;
  std::unique_ptr<Companion> proxy_, forward_;
  std::string forwarded_;
  std::unique_ptr<Web> web_;
};

}  // namespace detection::slotctl
