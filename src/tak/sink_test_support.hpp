#pragma once
// A server, a feeder and a sink put together; times short enough for tests.

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tak/scripted_server.hpp"
#include "tak/sink.hpp"
#include "tak/test_feeder.hpp"

namespace detection::tak {

using std::chrono::milliseconds;
/// How long a test waits for what must happen; reached only when it does not.
inline constexpr milliseconds kPatience{20'000};

inline SinkOptions quick_options(std::uint16_t port) {
  SinkOptions options;
  options.address = {.scheme = Scheme::kTcp, .host = "127.0.0.1", .port = port};
  options.connect_timeout = milliseconds{2'000};
  options.write_timeout = milliseconds{300};
  options.ping_interval = milliseconds{100};
  options.pong_timeout = milliseconds{100};
  options.silence_timeout = milliseconds{400};
  options.backoff_first = milliseconds{2};
  options.backoff_most = milliseconds{30};
  options.jitter_seed = 1;
  return options;
}

struct Bench {
  Bench(ServerScript script, TestFeeder::Plan plan, SinkOptions (*change)(SinkOptions) = nullptr)
      : server(std::move(script)), feeder(std::move(plan)) {
    SinkOptions options = quick_options(server.port());
    if (change != nullptr) options = change(options);
    sink = make_sink(options, feeder);
    feeder.attach(*sink);
    feeder.on_delivered = [this](BatchNumber batch, const std::vector<std::string>& uids, Delivery how) {
      for (const std::string& uid : uids) {
        if (how == Delivery::kConfirmed && !server.has_read(uid)) {
          ADD_FAILURE() << "batch " << batch << " confirmed, but the server had not read " << uid;
        }
      }
    };
  }
  ~Bench() { finish(); }

  void finish(milliseconds grace = milliseconds{0}) {
    sink->stop(grace);
    feeder.stopped();
    EXPECT_EQ(feeder.faults, std::vector<std::string>{});
    EXPECT_EQ(feeder.ready, feeder.lost) << "each connection that was ready is lost exactly once";
    EXPECT_EQ(server.torn(), 0U);
  }

  ScriptedServer server;
  TestFeeder feeder;
  std::unique_ptr<Sink> sink;
};

}  // namespace detection::tak
