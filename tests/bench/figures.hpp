#pragma once
// What the benchmark found: names, values, units and how each was measured.

#include <string>
#include <string_view>
#include <vector>

namespace detection::bench {

[[nodiscard]] double median(std::vector<double> values);  ///< 0 of nothing

struct Figure {
  std::string name;
  double value = 0;
  std::string unit, note;
};

class Figures {
 public:
  void add(std::string name, double value, std::string unit, std::string note);
  [[nodiscard]] std::string json() const;   ///< one object: name -> {value, unit, note}
  [[nodiscard]] std::string table() const;  ///< for people

 private:
  std::vector<Figure> figures_;
};

/// Runs a Google Benchmark program and returns what it printed as its JSON; throws when that fails.
struct RoomResult {
  std::string name;
  double cpu_ns = 0;            ///< per iteration, median of the repetitions
  double items_per_second = 0;  ///< 0 when it does not say
};
[[nodiscard]] std::vector<RoomResult> run_room_benchmark(const std::string& program, const std::string& filter,
                                                         double seconds);

}  // namespace detection::bench
