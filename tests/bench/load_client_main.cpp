// The load client as a program: load_client --port N [--path P] [--body FILE] [--token T] [--connections N]
// [--seconds S] [--rate R]. Prints one JSON object.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "bench/load_client.hpp"
#include "integration/support/process.hpp"

int main(int argc, char** argv) {
  using namespace detection;
  bench::LoadOptions options;
  std::string path = "/health", body_file, token;
  double seconds = 2;
  CLI::App app{
      "HTTP/1.1 load over loopback: GET, or POST when --body is given. A body file with several lines is one "
      "body a line, sent in turn (NDJSON)."};
  app.add_option("--port", options.port)->required();
  app.add_option("--path", path);
  app.add_option("--body", body_file)->check(CLI::ExistingFile);
  app.add_option("--token", token);
  app.add_option("--connections", options.connections)->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds)->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate_per_s, "requests a second, open loop")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  options.duration = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  if (body_file.empty()) {
    options.requests.push_back(bench::http_request("GET", path, token));
  } else {
    std::istringstream lines(integration::read_file(body_file));
    for (std::string line; std::getline(lines, line);)
      if (!line.empty()) options.requests.push_back(bench::http_request("POST", path, token, line));
  }
  try {
    const auto r = bench::run_load(options);
    std::printf("%s\n", nlohmann::json{{"per_second", r.per_second},
                                       {"answers", r.answers},
                                       {"errors", r.errors},
                                       {"first_error", r.first_error_body},
                                       {"broken", r.broken},
                                       {"p50_ms", r.p50_ms},
                                       {"p99_ms", r.p99_ms},
                                       {"typical_second_p99_ms", r.typical_second_p99_ms},
                                       {"max_ms", r.max_ms}}
                            .dump(2)
                            .c_str());
    return r.errors + r.broken == 0 ? 0 : 1;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "load_client: %s\n", problem.what());
    return 1;
  }
}
