#include "bench/encode_rivals.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "integration/support/process.hpp"

namespace detection::bench {
namespace {

struct Rival {
  const char* name;
  const char* what;
  const char* program;
  const char* script;
};

void add(Figures& figures, const Rival& rival, const std::filesystem::path& root, double seconds) {
  const auto done = integration::run({"/usr/bin/env", rival.program, (root / "tests" / "bench" / rival.script).string(),
                                      "--seconds", fmt::format("{}", seconds)},
                                     std::chrono::seconds(30));
  const auto json = nlohmann::json::parse(done.out, nullptr, false);
  if (done.exit.signalled || done.exit.code != 0 || !json.is_object()) {
    auto why = done.err.substr(0, done.err.find('\n'));
    if (done.exit.signalled) why = "it did not end within 30 s";
    figures.add(rival.name, 0, "events/s", fmt::format("not measured: {}", why));
    return;
  }
  figures.add(rival.name, json.value("protobuf", 0.0), "events/s",
              fmt::format("{}, the same event to a protobuf frame of {} bytes, one core; to XML {:.0f}/s", rival.what,
                          json.value("bytes", 0), json.value("xml", 0.0)));
}

}  // namespace

void add_encode_rivals(Figures& figures, const std::filesystem::path& root, double seconds) {
  add(figures, {"pytak_encode", "pytak and takproto (Python)", "python3", "encode_rivals.py"}, root, seconds);
  add(figures, {"node_cot_encode", "node-CoT (Node)", "node", "encode_rivals.mjs"}, root, seconds);
}

}  // namespace detection::bench
