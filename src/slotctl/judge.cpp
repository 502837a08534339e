#include "slotctl/judge.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace detection::slotctl {
namespace {

std::string with_unit(double value, const char* format) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);  // NOLINT(clang-diagnostic-format-nonliteral): ours
  return text.data();
}

std::string percent(double ratio) {
  return with_unit(100 * ratio, "%.2f %%");
}
std::string milliseconds(double value_s) {
  return with_unit(1000 * value_s, "%.0f ms");
}
std::string whole(double value) {
  return with_unit(value, "%.0f");
}

class Findings {
 public:
  void unless(bool good, const std::string& text) {
    if (!good) text_ += (text_.empty() ? "" : "; ") + text;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void append(std::string& out, std::string_view name, const std::string& value) {
  out += ", " + std::string(name) + " " + value;
}

std::string words(const Evidence& e, bool enough) {
  std::string out = whole(e.now.requests) + " requests";
  if (!enough) out += " (too few for ratios)";
  if (e.now.error_ratio) append(out, "errors", percent(*e.now.error_ratio));
  if (e.now.latency_p95_s) append(out, "p95", milliseconds(*e.now.latency_p95_s));
  if (e.now.tak_p95_s) append(out, "TAK p95", milliseconds(*e.now.tak_p95_s));
  if (e.now.green_ratio) append(out, "GREEN", percent(*e.now.green_ratio));
  if (e.now.queue_items) append(out, "queued", whole(*e.now.queue_items));
  return out + ", restarts " + std::to_string(e.restarts);
}

void judge_rates(Findings& bad, const Evidence& e, const Thresholds& limits) {
  const auto &now = e.now, &before = e.before;
  if (now.error_ratio) {
    bad.unless(*now.error_ratio <= limits.error_ratio_most,
               "errors " + percent(*now.error_ratio) + " > " + percent(limits.error_ratio_most));
    if (before.error_ratio)
      bad.unless(*now.error_ratio <= *before.error_ratio + limits.error_ratio_over,
                 "errors " + percent(*now.error_ratio) + ", the old slot had " + percent(*before.error_ratio));
  }
  if (now.latency_p95_s) {
    bad.unless(*now.latency_p95_s <= limits.latency_p95_most_s,
               "p95 " + milliseconds(*now.latency_p95_s) + " > " + milliseconds(limits.latency_p95_most_s));
    if (before.latency_p95_s && *now.latency_p95_s > limits.latency_floor_s)
      bad.unless(
          *now.latency_p95_s <= *before.latency_p95_s * limits.latency_factor_most,
          "p95 " + milliseconds(*now.latency_p95_s) + ", the old slot had " + milliseconds(*before.latency_p95_s));
  }
  if (now.green_ratio && before.green_ratio)
    bad.unless(*now.green_ratio >= *before.green_ratio - limits.green_ratio_under,
               "GREEN " + percent(*now.green_ratio) + ", the old slot had " + percent(*before.green_ratio));
}

}  // namespace

Judgement judge(const Evidence& e, const Thresholds& limits) {
  Findings bad;
  const bool enough = e.now.requests >= limits.requests_least;
  if (enough) {
    Evidence comparable = e;
    if (e.before.requests < limits.requests_least) comparable.before = {};
    judge_rates(bad, comparable, limits);
  }
  if (e.now.tak_p95_s)
    bad.unless(*e.now.tak_p95_s <= limits.tak_p95_most_s,
               "TAK p95 " + milliseconds(*e.now.tak_p95_s) + " > " + milliseconds(limits.tak_p95_most_s));
  if (e.now.queue_items) {
    const double grown = *e.now.queue_items - e.before.queue_items.value_or(0);
    bad.unless(grown <= limits.queue_growth_most,
               "queue grown by " + whole(grown) + " > " + whole(limits.queue_growth_most));
  }
  bad.unless(e.restarts <= limits.restarts_most, std::to_string(e.restarts) + " restarts");
  auto text = words(e, enough);
  if (!bad.text().empty()) return {Verdict::kBad, bad.text() + " (" + text + ")"};
  return {Verdict::kGood, std::move(text)};
}

int restarts_since(const SlotPods& pods, double since_s) {
  return static_cast<int>(std::ranges::count_if(pods.container_ends_s, [&](double end) { return end >= since_s; }));
}

}  // namespace detection::slotctl
