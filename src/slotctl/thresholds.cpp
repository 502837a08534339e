#include <yaml-cpp/yaml.h>

#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "slotctl/judge.hpp"

namespace detection::slotctl {
namespace {

/// The numbers of one mapping, each named once; what is missing, unknown or no number is told.
class Numbers {
 public:
  Numbers(const YAML::Node& node, std::string path) : node_(node), path_(std::move(path)) {
    if (!node_ || !node_.IsMap()) error_ = (path_.empty() ? "the file" : path_) + " must be a mapping";
  }
  double operator()(const char* key) {
    known_.insert(key);
    if (!error_.empty()) return 0;
    double value = 0;
    const auto node = node_[key];
    if (!node || !YAML::convert<double>::decode(node, value) || !std::isfinite(value) || value < 0)
      error_ = path_ + key + " must be a number of at least 0";
    return value;
  }
  void also(const char* key) { known_.insert(key); }
  [[nodiscard]] std::string error() {
    if (error_.empty())
      for (const auto& entry : node_)
        if (const auto key = entry.first.Scalar(); !known_.contains(key)) error_ = path_ + key + " is not known";
    return error_;
  }

 private:
  YAML::Node node_;
  std::string path_, error_;
  std::set<std::string, std::less<>> known_;
};

Result<Thresholds> read(const YAML::Node& root) {
  Thresholds t;
  Numbers top(root, "");
  t.duration_s = top("duration_s");
  t.interval_s = top("interval_s");
  t.window_s = top("window_s");
  t.metrics_away_most_s = top("metrics_away_most_s");
  t.requests_least = top("requests_least");
  top.also("limits");
  top.also("against_old");
  if (auto error = top.error(); !error.empty()) return fail(ErrorCode::kConfiguration, error);
  Numbers limits(root["limits"], "limits.");
  t.error_ratio_most = limits("error_ratio");
  t.latency_p95_most_s = limits("latency_p95_s");
  t.tak_p95_most_s = limits("tak_p95_s");
  t.queue_growth_most = limits("queue_growth");
  t.restarts_most = static_cast<int>(std::min(limits("restarts"), 1e6));
  if (auto error = limits.error(); !error.empty()) return fail(ErrorCode::kConfiguration, error);
  Numbers old(root["against_old"], "against_old.");
  t.error_ratio_over = old("error_ratio_over");
  t.latency_factor_most = old("latency_factor");
  t.latency_floor_s = old("latency_floor_s");
  t.green_ratio_under = old("green_ratio_under");
  if (auto error = old.error(); !error.empty()) return fail(ErrorCode::kConfiguration, error);
  if (t.interval_s < 0.05 || t.window_s < 1)
    return fail(ErrorCode::kConfiguration, "interval_s must be at least 0.05, window_s at least 1");
  return t;
}

}  // namespace

Result<Thresholds> parse_thresholds(std::string_view yaml) {
  try {
    return read(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& e) {
    return fail(ErrorCode::kConfiguration, e.what());
  }
}

}  // namespace detection::slotctl
