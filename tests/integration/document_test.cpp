// The service against its own OpenAPI document, tried by a foreign tool (schemathesis): every check, every phase, with
// authentication. Skipped, and said so, where its Python environment cannot be made (tests/peers/setup_venv.sh). That
// each declared status is really given is held by src/http/open_api_coverage_test.cpp.

#include <gtest/gtest.h>

#include "integration/support/peers.hpp"
#include "integration/support/records.hpp"

namespace detection::integration {
namespace {

TEST(Document, SchemathesisFindsNothing) {
  if (const auto why = peer_missing({"setup_venv.sh", "schemathesis"})) GTEST_SKIP() << *why;
  // Nothing listens at the sink: the document's own answers do not depend on TAK.
  Service service({.binary = binary(),
                   .sinks = {"tcp://127.0.0.1:" + std::to_string(free_port())},
                   .more = {"--log-level", "warning"}});
  service.start();
  expect_schemathesis_finds_nothing(service);
}

}  // namespace
}  // namespace detection::integration
