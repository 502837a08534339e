#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>

#include "app/assemble.hpp"
#include "app/commands.hpp"
#include "http/detection_json.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {
namespace {

constexpr std::size_t kLineBytesMost = 16U << 20;
constexpr std::size_t kOutputBytes = 1U << 16;

/// Lines of bounded length: a longer one is read off and told as too long.
class LineReader {
 public:
  explicit LineReader(std::istream& in) : in_(in) {}

  bool next(std::string& line, bool& too_long) {
    line.clear();
    too_long = false;
    auto* buffer = in_.rdbuf();
    bool any = false;
    for (int c = buffer->sbumpc(); c != std::char_traits<char>::eof(); c = buffer->sbumpc()) {
      any = true;
      if (c == '\n') return true;
      if (line.size() < kLineBytesMost)
        line.push_back(static_cast<char>(c));
      else
        too_long = true;
    }
    return any;
  }

  [[nodiscard]] bool would_wait() { return in_.rdbuf()->in_avail() <= 0; }

 private:
  std::istream& in_;
};

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

int locate(const Configuration& configuration, const std::string& input) {
  auto assets = load_assets(configuration);
  if (!assets) {
    std::fprintf(stderr, "detection-api: %s\n", assets.error().detail.c_str());
    return kWrongUsage;
  }
  std::ifstream file;
  if (input != "-") {
    file.open(input, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "detection-api: %s cannot be read\n", input.c_str());
      return kFailed;
    }
  }
  std::ios::sync_with_stdio(false);
  LineReader lines(input == "-" ? std::cin : file);
  telemetry::Metrics metrics;
  const pipeline::Acceptor acceptor(acceptor_settings(configuration, **assets), metrics);
  http::DetectionParser parser;
  const http::ParseRules rules{.now = {std::numeric_limits<std::int64_t>::max() / 2}, .identity_optional = true};
  const bool progress = isatty(STDERR_FILENO) != 0 && isatty(STDIN_FILENO) == 0;

  std::string line, out;
  bool too_long = false, any_failed = false;
  for (std::size_t count = 1; lines.next(line, too_long); ++count) {
    if (!too_long && blank(line)) continue;
    auto detection = too_long ? Result<Detection>(fail(ErrorCode::kPayloadTooLarge, "the line is longer than 16 MiB"))
                              : parser.parse(line, rules);
    auto fix = detection ? acceptor.locate(*detection) : Result<Fix>(std::unexpected(detection.error()));
    if (fix) {
      http::append_fix(out, *fix, classify(*fix, detection->ai_confidence, acceptor.settings().flags));
    } else {
      any_failed = true;
      http::append_problem(out, fix.error(), {});
    }
    out.push_back('\n');
    // Answered at once where somebody waits for it at the other end of a pipe.
    if (out.size() >= kOutputBytes || lines.would_wait()) {
      std::fwrite(out.data(), 1, out.size(), stdout);
      std::fflush(stdout);
      out.clear();
    }
    if (progress && count % 100'000 == 0) std::fprintf(stderr, "\r%zu located", count);
  }
  if (progress) std::fprintf(stderr, "\r\033[K");
  std::fwrite(out.data(), 1, out.size(), stdout);
  if (std::fflush(stdout) != 0) return kFailed;
  return any_failed ? kFailed : kDone;
}

}  // namespace detection::app
