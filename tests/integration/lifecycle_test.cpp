// Start, stop and what it says of itself.

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"
#include "telemetry/metrics.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Lifecycle, SigtermFinishesWhatIsInFlight) {
  Service service({binary(), {"tcp://127.0.0.1:9"}, {"--drain-delay", "500ms", "--shutdown-grace", "10s"}});
  service.start();
  std::mutex mutex;
  std::vector<std::string> acknowledged;
  std::atomic<bool> stop{false};
  std::vector<std::jthread> clients;
  for (unsigned i = 0; i < 4; ++i)
    clients.emplace_back([&, number = std::uint64_t{i} * 1'000'000]() mutable {
      auto client = service.client();
      while (!stop.load()) {
        const auto answer = client.post("/api/v1/detections", detection_json(++number));
        if (!answer) continue;
        ASSERT_TRUE(answer->status == 201 || answer->status == 503) << answer->body;
        if (answer->status != 201) continue;
        const auto ids = accepted_ids(*answer);
        const std::scoped_lock lock(mutex);
        acknowledged.insert(acknowledged.end(), ids.begin(), ids.end());
      }
    });
  // One whose second half comes only after the signal.
  auto slow = service.client();
  const auto body = detection_json(77);
  ASSERT_TRUE(slow.send_raw("POST /api/v1/detections HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " +
                            service.all_scopes_token() + "\r\nContent-Type: application/json\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, 100)));
  sleep_ms(200);
  HttpClient watcher(service.metrics_port(), {}, seconds(5));
  ASSERT_TRUE(watcher.get("/ready"));

  service.child().signal(SIGTERM);
  EXPECT_TRUE(wait_until(seconds(5), [&] { return service.ready_status() == 503; })) << "never unready";
  const auto while_draining = HttpClient(service.api_port()).get("/health");
  EXPECT_TRUE(while_draining && while_draining->status == 200);
  ASSERT_TRUE(slow.send_raw(body.substr(100)));
  const auto answer = slow.receive();
  ASSERT_TRUE(answer) << "a request in flight was cut";
  EXPECT_EQ(answer->status, 201) << answer->body;
  EXPECT_EQ(answer->header("connection"), "close");
  const auto ended = service.child().wait(seconds(12));
  stop.store(true);
  clients.clear();
  ASSERT_TRUE(ended) << "still running after its grace";
  EXPECT_FALSE(ended->signalled);
  EXPECT_EQ(ended->code, 0) << service.log();

  service.start();
  const auto records = list_all(service);
  acknowledged.push_back(accepted_ids(*answer).front());
  EXPECT_GT(acknowledged.size(), 10U);
  for (const auto& id : acknowledged) ASSERT_TRUE(records.contains(id)) << id;
}

TEST(Lifecycle, SigtermWithIdleConnectionsAndNoWorkIsQuick) {
  Service service({binary(), {"tcp://127.0.0.1:9"}, {"--shutdown-grace", "15s"}});
  service.start();
  auto idle = service.client();
  ASSERT_TRUE(idle.get("/health"));
  HttpClient silent(service.api_port());
  ASSERT_TRUE(silent.send_raw("GET /hea"));  // a head that never ends holds up nothing for long
  const auto begin = std::chrono::steady_clock::now();
  const auto ended = service.terminate(seconds(14));
  ASSERT_TRUE(ended) << service.log();
  EXPECT_EQ(ended->code, 0);
  std::printf("ended after %.0f ms\n",
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
}

TEST(Lifecycle, SigtermRightAfterTheStartIsObeyed) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  for (const int wait_ms : {0, 3, 10, 30, 60}) {
    service.launch();
    sleep_ms(wait_ms);
    const auto ended = service.terminate(seconds(15));
    ASSERT_TRUE(ended) << "after " << wait_ms << " ms\n" << service.log();
    // Before its handler stands, the signal itself ends it: that is fine too.
    EXPECT_TRUE(ended->signalled ? ended->code == SIGTERM : ended->code == 0) << service.log();
  }
}

struct Refused {
  std::string name;
  std::vector<std::string> change;  ///< appended to a good command line (the last one given counts, or it is an error)
  std::string says;                 ///< must stand in stderr
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.name;
}

class RefusedStart : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedStart, SaysWhyAndEnds) {
  const TempDir dir;
  const auto path = [&](const char* name) { return (dir.path() / name).string(); };
  write_file(path("good.key"), "integration-tests-only-6f0c1d9a4be27358");
  write_file(path("short.key"), "short");
  write_file(path("empty.key"), "\n");
  write_file(path("file"), "not a folder");
  std::vector<std::string> argv{binary().string(), "serve"};
  bool has_key = false, has_data = false;
  auto change = GetParam().change;
  for (auto& one : change) {
    if (const auto at = one.find("DIR/"); at != std::string::npos) one.replace(at, 3, dir.path().string());
    has_key |= one == "--jwt-key-file";
    has_data |= one == "--data-dir";
  }
  if (!has_key && GetParam().name != "NoKeyFile") argv.insert(argv.end(), {"--jwt-key-file", path("good.key")});
  if (!has_data) argv.insert(argv.end(), {"--data-dir", path("data")});
  argv.insert(argv.end(), {"--listen", "127.0.0.1:" + std::to_string(free_port()), "--metrics-listen",
                           "127.0.0.1:" + std::to_string(free_port())});
  argv.insert(argv.end(), change.begin(), change.end());
  const auto done = run(argv, seconds(10));
  EXPECT_FALSE(done.exit.signalled) << "it runs, or it crashed\n" << done.out << done.err;
  EXPECT_NE(done.exit.code, 0);
  EXPECT_NE(done.err.find(GetParam().says), std::string::npos) << "stderr: " << done.err << "\nstdout: " << done.out;
}

INSTANTIATE_TEST_SUITE_P(
    Lifecycle, RefusedStart,
    ::testing::Values(
        Refused{"UnknownOption", {"--no-such-option", "1"}, "no-such-option"},
        Refused{"BadValue", {"--max-range", "far"}, "max-range"},
        Refused{"BadSink", {"--tak-sink", "tak.example:8087"}, "tak-sink"},
        Refused{"TwoSinksOfOneName", {"--tak-sink", "a=tcp://127.0.0.1:1", "--tak-sink", "a=tcp://127.0.0.1:2"}, "a"},
        Refused{"NoKeyFile", {}, "jwt-key-file"}, Refused{"MissingKeyFile", {"--jwt-key-file", "DIR/no.key"}, "no.key"},
        Refused{"ShortKey", {"--jwt-key-file", "DIR/short.key"}, "32"},
        Refused{"EmptyKey", {"--jwt-key-file", "DIR/empty.key"}, "32"},
        Refused{"KeyFileIsAFolder", {"--jwt-key-file", "DIR/"}, ""},
        Refused{"DataDirIsAFile", {"--data-dir", "DIR/file"}, "file"},
        Refused{"DataDirUnderAFile", {"--data-dir", "DIR/file/data"}, "file/data"},
        Refused{"DataDirCannotBeMade", {"--data-dir", "/proc/detection"}, "/proc/detection"}),
    [](const auto& one) { return one.param.name; });

TEST(Lifecycle, PortInUseIsNamed) {
  Service first({binary(), {}});
  first.start();
  const TempDir dir;
  for (const auto& [api, metrics] : {std::pair{first.api_port(), free_port()}, {free_port(), first.metrics_port()}}) {
    const auto done = run({binary().string(), "serve", "--data-dir", (dir.path() / "data").string(), "--jwt-key-file",
                           first.key_file().string(), "--listen", "127.0.0.1:" + std::to_string(api),
                           "--metrics-listen", "127.0.0.1:" + std::to_string(metrics)},
                          seconds(10));
    EXPECT_FALSE(done.exit.signalled);
    EXPECT_EQ(done.exit.code, 1);
    const auto busy = api == first.api_port() ? api : metrics;
    EXPECT_NE(done.err.find(std::to_string(busy)), std::string::npos) << done.err;
  }
  EXPECT_EQ(first.ready_status(), 200);
}

TEST(Lifecycle, DataDirOfAnotherServeIsRefused) {
  Service first({binary(), {}});
  first.start();
  const auto done = run({binary().string(), "serve", "--data-dir", first.data_dir().string(), "--jwt-key-file",
                         first.key_file().string(), "--listen", "127.0.0.1:" + std::to_string(free_port()),
                         "--metrics-listen", "127.0.0.1:" + std::to_string(free_port())},
                        seconds(10));
  EXPECT_FALSE(done.exit.signalled) << "two services deliver from one store";
  EXPECT_EQ(done.exit.code, 1);
  EXPECT_NE(done.err.find(first.data_dir().string()), std::string::npos) << done.err;
  auto client = first.client();
  const auto answer = client.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 201);
  // Commands beside it are fine.
  EXPECT_EQ(run({binary().string(), "audit", "verify", "--data-dir", first.data_dir().string()}).exit.code, 0);
}

TEST(Lifecycle, HealthSaysVersionAndSlotOnBothPorts) {
  Service service({binary(), {}, {"--slot", "blue"}});
  service.start();
  for (const auto port : {service.api_port(), service.metrics_port()}) {
    HttpClient client(port);
    const auto health = client.get("/health");
    ASSERT_TRUE(health);
    EXPECT_EQ(health->status, 200);
    const auto json = nlohmann::json::parse(health->body);
    EXPECT_EQ(json.at("slot"), "blue");
    EXPECT_FALSE(json.at("version").get<std::string>().empty());
    EXPECT_FALSE(json.at("commit").get<std::string>().empty());
    const auto ready = client.get("/ready");
    ASSERT_TRUE(ready);
    EXPECT_EQ(ready->status, 200) << ready->body;
  }
}

TEST(Lifecycle, MetricsHaveEveryFamily) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  service.start();
  const auto text = service.metrics();
  ASSERT_FALSE(text.empty());
  for (const auto& family : telemetry::Metrics::families()) {
    EXPECT_NE(text.find("# TYPE " + std::string(family.name) + " "), std::string::npos) << family.name;
    EXPECT_NE(text.find("# HELP " + std::string(family.name) + " "), std::string::npos) << family.name;
  }
  for (const auto* name : {"process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"})
    EXPECT_NE(text.find(std::string("# TYPE ") + name + " "), std::string::npos) << name;
  // What one request and one detection leave there.
  auto client = service.client();
  const auto answer = client.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(answer && answer->status == 201);
  const auto id = accepted_ids(*answer).front();
  const auto found = client.get("/api/v1/detections/" + id);
  ASSERT_TRUE(found && found->status == 200);
  EXPECT_EQ(service.metric(R"(http_requests_total{method="POST",route="/api/v1/detections",status_code="201"})"), 1);
  EXPECT_EQ(service.metric(R"(http_requests_total{method="GET",route="/api/v1/detections/{id}",status_code="200"})"),
            1);
  EXPECT_EQ(service.metric(R"(offline_queue_size{sink="tak"})"), 1);
  EXPECT_EQ(service.metrics().find(id), std::string::npos) << "a label from a request";
}

TEST(Lifecycle, LogIsJsonLinesWithoutSecrets) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  service.start();
  auto client = service.client();
  ASSERT_TRUE(client.post("/api/v1/detections", detection_json(1)));
  ASSERT_TRUE(client.post("/api/v1/detections", "{"));
  const auto ended = service.terminate();
  ASSERT_TRUE(ended);
  const auto log = service.log();
  std::istringstream lines(log);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(json.is_object()) << line;
    for (const auto* key : {"time", "level", "event", "message"}) EXPECT_TRUE(json.contains(key)) << line;
  }
  EXPECT_GE(count, 2U);
  EXPECT_EQ(log.find(service.all_scopes_token()), std::string::npos);
  EXPECT_EQ(log.find("integration-tests-only"), std::string::npos);
}

}  // namespace
}  // namespace detection::integration
