// A storm of faults, chosen by a seed: everything arrives at least once, in order of batches, and nothing is confirmed
// that the server had not read.

#include <random>
#include <thread>

#include "tak/sink_test_support.hpp"

namespace detection::tak {
namespace {

ServerScript any_script(std::minstd_rand& random) {
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  ServerScript script;
  script.answer = one_in(4) ? ServerScript::Answer::kEcho : ServerScript::Answer::kPong;
  if (one_in(4)) script.pong_delay = milliseconds{random() % 60};
  if (one_in(4)) script.pong_repeats = static_cast<int>(random() % 3);
  if (one_in(4)) script.repeat_delay = milliseconds{random() % 10};
  if (one_in(5)) script.lose_every = 2 + static_cast<int>(random() % 4);
  if (one_in(5)) script.lose_first = static_cast<int>(random() % 4);
  if (one_in(5)) script.replay_events = random() % 500;
  if (one_in(8)) script.giant_event_bytes = 300'000;
  if (one_in(5)) script.junk = std::string(random() % 300, static_cast<char>(random() % 256));
  if (one_in(5)) script.read_bytes_per_second = 200'000 + random() % 2'000'000;
  if (one_in(5)) script.receive_buffer = 4'096;
  if (one_in(8)) script.pause_after = 1 + random() % 50'000;
  if (one_in(6)) script.close_after = 1 + random() % 50'000;
  if (one_in(6)) script.reset_after = 1 + random() % 50'000;
  if (one_in(8)) script.half_close_after = 1 + random() % 50'000;
  return script;
}

class SinkStorm : public testing::TestWithParam<unsigned> {};

TEST_P(SinkStorm, LosesNothingAndConfirmsNothingUnread) {
  std::minstd_rand random(GetParam());
  Bench bench(any_script(random), {.batches = 300, .events_per_batch = 12, .event_bytes = 700}, [](SinkOptions o) {
    o.write_timeout = milliseconds{80};
    o.ping_interval = milliseconds{40};
    o.pong_timeout = milliseconds{30};
    o.silence_timeout = milliseconds{150};
    o.backoff_most = milliseconds{8};
    o.event_bytes_most = 100'000;
    // This storm asks for confirmation only: a wrong "unconfirmed" would hide a loss.
    o.pongs_lost_until_unconfirmed = 1'000'000;
    return o;
  });
  bench.sink->start();
  std::uint64_t more = 0;
  const auto until = std::chrono::steady_clock::now() + milliseconds{600};
  while (std::chrono::steady_clock::now() < until) {
    if (bench.feeder.wait_done(milliseconds{10 + random() % 60})) {
      bench.feeder.add(20);
      more += 20;
    }
    switch (random() % 6) {
      case 0: bench.server.drop_connections(random() % 2 == 0); break;
      case 1:
        bench.server.refuse(true);
        std::this_thread::sleep_for(milliseconds{random() % 40});
        bench.server.refuse(false);
        break;
      default: bench.server.set(any_script(random)); break;
    }
  }
  bench.server.set({});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 300U + more);
  EXPECT_EQ(bench.feeder.unconfirmed, 0U);
  RecordProperty("connections", std::to_string(bench.feeder.ready));
  RecordProperty("batches", std::to_string(bench.feeder.confirmed));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SinkStorm, testing::Range(1U, 4U));

}  // namespace
}  // namespace detection::tak
