// The service against its own OpenAPI document, tried by a foreign tool (schemathesis): every check, every phase, with
// authentication. Skipped, and said so, where its Python environment cannot be made (tests/peers/setup_venv.sh). That
// each declared status is really given is held by src/http/open_api_coverage_test.cpp.

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>

#include "integration/support/service.hpp"
#include "test_paths.hpp"

namespace detection::integration {
namespace {

using std::chrono::minutes;

const std::filesystem::path kRoot = DETECTION_SOURCE_ROOT;
const std::filesystem::path kApi = DETECTION_BINARY_ROOT "/bin/detection-api";

std::string peer(const char* name) {
  return (kRoot / "tests/peers" / name).string();
}

TEST(Document, SchemathesisFindsNothing) {
  const auto made = run({peer("setup_venv.sh"), "schemathesis"}, minutes(5));
  if (!made.exit.signalled && made.exit.code == 77) GTEST_SKIP() << made.err;
  ASSERT_EQ(made.exit.code, 0) << made.err;

  // Nothing listens at the sink: the document's own answers do not depend on TAK.
  Service service({.binary = kApi,
                   .sinks = {"tcp://127.0.0.1:" + std::to_string(free_port())},
                   .more = {"--log-level", "warning"}});
  service.start();
  TempDir dir;
  write_file(dir.path() / "token", service.all_scopes_token());
  const auto url = [](std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); };
  const bool thorough = env_number("DETECTION_LONG", 0) != 0;
  const auto tried =
      run({peer("schemathesis_run.py"), "--api", url(service.api_port()), "--metrics", url(service.metrics_port()),
           "--token-file", (dir.path() / "token").string(), "--out", (dir.path() / "out").string(), "--examples",
           thorough ? "200" : "10", "--seed", std::to_string(env_number("DETECTION_SEED", 1))},
          minutes(thorough ? 14 : 5));
  std::cout << tried.out;
  EXPECT_FALSE(tried.exit.signalled);
  EXPECT_EQ(tried.exit.code, 0) << tried.err;
  EXPECT_TRUE(service.child().running()) << service.log();
}

}  // namespace
}  // namespace detection::integration
