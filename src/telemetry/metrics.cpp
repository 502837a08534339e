#include "telemetry/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "telemetry/process_metrics.hpp"

namespace detection::telemetry {

void Counter::increment(double by) noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Counter*>(impl_)->Increment(by);
}
void Gauge::set(double value) noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Gauge*>(impl_)->Set(value);
}
void Gauge::add(double by) noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Gauge*>(impl_)->Increment(by);
}
void Histogram::observe(double value) noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Histogram*>(impl_)->Observe(value);
}

struct Metrics::Impl {
  prometheus::Registry registry;
  std::map<std::string_view, const MetricFamily*> table;
  std::map<std::string_view, prometheus::Family<prometheus::Counter>*> counters;
  std::map<std::string_view, prometheus::Family<prometheus::Gauge>*> gauges;
  std::map<std::string_view, prometheus::Family<prometheus::Histogram>*> histograms;
  std::mutex refreshing;
  std::vector<std::function<void()>> refreshes;

  const MetricFamily& family(std::string_view name, MetricKind kind, std::size_t labels) {
    const auto found = table.find(name);
    if (found == table.end() || found->second->kind != kind || found->second->labels.size() != labels) {
      std::fprintf(stderr, "bug: metric %.*s is not declared so\n", static_cast<int>(name.size()), name.data());
      std::abort();
    }
    return *found->second;
  }
};

namespace {

prometheus::Labels labels_of(const MetricFamily& family, std::initializer_list<std::string_view> values) {
  prometheus::Labels labels;
  auto value = values.begin();
  for (const auto name : family.labels) labels.emplace(std::string(name), std::string(*value++));
  return labels;
}

prometheus::MetricType type_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter: return prometheus::MetricType::Counter;
    case MetricKind::kGauge: return prometheus::MetricType::Gauge;
    case MetricKind::kHistogram: return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

}  // namespace

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  for (const auto& family : families()) {
    const std::string name(family.name), help(family.help);
    impl_->table.emplace(family.name, &family);
    switch (family.kind) {
      case MetricKind::kCounter:
        impl_->counters[family.name] = &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
        break;
      case MetricKind::kGauge:
        impl_->gauges[family.name] = &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
        break;
      case MetricKind::kHistogram:
        impl_->histograms[family.name] = &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
        break;
    }
    // Without labels there is exactly one series: it is there from the start, at zero.
    if (!family.labels.empty()) continue;
    if (family.kind == MetricKind::kCounter) (void)counter(family.name);
    if (family.kind == MetricKind::kGauge) (void)gauge(family.name);
    if (family.kind == MetricKind::kHistogram) (void)histogram(family.name);
  }
}

Metrics::~Metrics() = default;

Counter Metrics::counter(std::string_view name, std::initializer_list<std::string_view> values) {
  const auto& family = impl_->family(name, MetricKind::kCounter, values.size());
  return Counter(&impl_->counters[name]->Add(labels_of(family, values)));
}

Gauge Metrics::gauge(std::string_view name, std::initializer_list<std::string_view> values) {
  const auto& family = impl_->family(name, MetricKind::kGauge, values.size());
  return Gauge(&impl_->gauges[name]->Add(labels_of(family, values)));
}

Histogram Metrics::histogram(std::string_view name, std::initializer_list<std::string_view> values) {
  const auto& family = impl_->family(name, MetricKind::kHistogram, values.size());
  return Histogram(&impl_->histograms[name]->Add(labels_of(family, values), family.buckets));
}

void Metrics::before_scrape(std::function<void()> refresh) {
  const std::scoped_lock lock(impl_->refreshing);
  impl_->refreshes.push_back(std::move(refresh));
}

std::string Metrics::expose() {
  {
    const std::scoped_lock lock(impl_->refreshing);
    for (const auto& refresh : impl_->refreshes) refresh();
  }
  auto collected = impl_->registry.Collect();
  // The registry leaves out a family without samples; its # TYPE must be there all the same.
  for (const auto& family : families()) {
    bool present = false;
    for (const auto& one : collected) present = present || one.name == family.name;
    if (!present) collected.push_back({std::string(family.name), std::string(family.help), type_of(family.kind), {}});
  }
  std::string text = prometheus::TextSerializer().Serialize(collected);
  append_process_metrics(text);
  return text;
}

}  // namespace detection::telemetry
