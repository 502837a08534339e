#pragma once
// The figures of a slot, asked of Prometheus (HTTP API v1). Metrics as the service exports them; `slot` is put on every
// series by the scrape.

#include <functional>

#include "slotctl/ports.hpp"
#include "slotctl/web.hpp"

namespace detection::slotctl {

struct PrometheusOptions {
  std::string space = "detection-system";
  std::chrono::milliseconds request_most = std::chrono::seconds(10);
};

class Prometheus final : public Metrics {
 public:
  /// `address` gives the base URL, anew before each look: a port-forward may have ended.
  Prometheus(PrometheusOptions options, std::function<Result<std::string>()> address);
  [[nodiscard]] Result<Figures> figures(Slot slot, double at_s, double window_s) override;
  /// The value of an expression that gives one; nothing where it gives none, or no number.
  [[nodiscard]] Result<std::optional<double>> value(const std::string& expression, double at_s);

 private:
  PrometheusOptions options_;
  std::function<Result<std::string>()> address_;
  std::string base_{};
  std::unique_ptr<Web> web_{};
};

/// The expressions, for the documentation and its test.
struct Expressions {
  std::string requests{}, errors{}, latency_p95{}, tak_p95{}, green{}, located{}, queue{};
};
[[nodiscard]] Expressions expressions(const std::string& space, Slot slot, double window_s);

}  // namespace detection::slotctl
