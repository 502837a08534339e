#include "telemetry/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "detection/json_writer.hpp"

namespace detection::telemetry {
namespace {

void append_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                   double value) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(type);
  out.append("\n").append(name).append(" ");
  json::append_number(out, value);
  out.push_back('\n');
}

/// Fields of /proc/self/stat after the parenthesised name; [0] is field 3 of proc(5).
std::vector<double> stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::vector<double> fields;
  std::size_t pos = text.rfind(')');
  if (pos == std::string::npos) return fields;
  pos += 2;
  while (pos < text.size()) {
    const std::size_t end = std::min(text.find(' ', pos), text.size());
    fields.push_back(std::strtod(text.substr(pos, end - pos).c_str(), nullptr));
    pos = end + 1;
  }
  return fields;
}

double boot_time_s() {
  std::ifstream file("/proc/stat");
  std::string word;
  while (file >> word)
    if (word == "btime") {
      double seconds = 0;
      file >> seconds;
      return seconds;
    }
  return 0;
}

}  // namespace

void append_process_metrics(std::string& out) {
  static const double kTicks = static_cast<double>(sysconf(_SC_CLK_TCK));
  static const double kPage = static_cast<double>(sysconf(_SC_PAGESIZE));
  static const double kBoot = boot_time_s();
  const auto stat = stat_fields();
  if (stat.size() < 22) return;
  append_metric(out, "process_cpu_seconds_total", "counter", "User and system CPU time",
                (stat[11] + stat[12]) / kTicks);
  append_metric(out, "process_threads", "gauge", "Threads", stat[17]);
  append_metric(out, "process_start_time_seconds", "gauge", "Start since the Unix epoch", kBoot + stat[19] / kTicks);
  append_metric(out, "process_virtual_memory_bytes", "gauge", "Virtual memory", stat[20]);
  append_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory", stat[21] * kPage);
  std::error_code ignored;
  double descriptors = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       !ignored && it != std::filesystem::directory_iterator(); it.increment(ignored))
    ++descriptors;
  append_metric(out, "process_open_fds", "gauge", "Open file descriptors", descriptors);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  append_metric(out, "process_max_fds", "gauge", "Most file descriptors", static_cast<double>(limit.rlim_cur));
}

}  // namespace detection::telemetry
