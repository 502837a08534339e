#include "bench/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "integration/support/process.hpp"

namespace detection::bench {
namespace {

/// Four significant digits are more than such a measurement is worth.
double rounded(double value) {
  return std::stod(fmt::format("{:.4g}", value));
}

std::string for_people(double value) {
  if (value >= 1e4) return fmt::format("{:.0f}", value);
  return value >= 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.3f}", value);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void Figures::add(std::string name, double value, std::string unit, std::string note) {
  figures_.push_back({std::move(name), rounded(value), std::move(unit), std::move(note)});
}

std::string Figures::json() const {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const auto& one : figures_) all[one.name] = {{"value", one.value}, {"unit", one.unit}, {"note", one.note}};
  return all.dump(2);
}

std::string Figures::table() const {
  std::string text;
  for (const auto& one : figures_)
    text += fmt::format("{:<32} {:>12} {:<14} {}\n", one.name, for_people(one.value), one.unit, one.note);
  return text;
}

std::vector<RoomResult> run_room_benchmark(const std::string& program, const std::string& filter, double seconds) {
  const auto done = integration::run({program, "--benchmark_format=json", "--benchmark_filter=" + filter,
                                      fmt::format("--benchmark_min_time={}", seconds), "--benchmark_repetitions=3",
                                      "--benchmark_report_aggregates_only=true"},
                                     std::chrono::minutes(5));
  if (done.exit.signalled || done.exit.code != 0) throw std::runtime_error(program + " failed: " + done.err);
  std::vector<RoomResult> results;
  const auto json = nlohmann::json::parse(done.out);
  for (const auto& one : json.at("benchmarks")) {
    if (one.value("aggregate_name", std::string()) != "median") continue;
    if (one.at("time_unit") != "ns") throw std::runtime_error(program + ": times must be in ns");
    results.push_back(
        {one.at("run_name").get<std::string>(), one.at("cpu_time").get<double>(), one.value("items_per_second", 0.0)});
  }
  return results;
}

}  // namespace detection::bench
