// ./bench: the running service under load, beside the rooms' own benchmarks. Client, server and TAK server share the
// machine's cores, as they do in every figure here; a figure with a baseline is measured in turn with it.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/encode_rivals.hpp"
#include "bench/figures.hpp"
#include "bench/load_client.hpp"
#include "integration/support/fast_sink.hpp"
#include "integration/support/postgres_server.hpp"
#include "integration/support/requests.hpp"
#include "integration/support/service.hpp"
#include "tak/test_certificates.hpp"

namespace detection::bench {
namespace {

using integration::FastSink;
using integration::Service;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::size_t kBatch = 1'000;
constexpr std::string_view kPost = "/api/v1/detections";
constexpr std::string_view kPostBatch = "/api/v1/detections/batch";

struct Sizes {
  int rounds;         ///< of each pair; the median counts
  milliseconds load;  ///< of each closed-loop measurement
  std::size_t held;   ///< detections held for TAK
  int returns;        ///< of the TAK server
  int held_pairs;
  double room_seconds;  ///< of each Google Benchmark
  bool wide;            ///< 256 connections too
};
constexpr Sizes kFull{5, milliseconds(3'000), 100'000, 3, 5, 0.5, true};
constexpr Sizes kQuick{3, milliseconds(1'000), 100'000, 1, 3, 0.1, false};

double since_s(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

class ServiceBench {
 public:
  ServiceBench(std::filesystem::path bin, const Sizes& sizes) : bin_(std::move(bin)), sizes_(sizes) {}

  Figures run(const std::string& only) {
    figures_.add("machine_idle", machine_idle_percent(), "%",
                 "of all cores in the second before; well under 100, others work here and the figures are too low");
    if (only.empty() || only == "rooms") rooms();
    if (only.empty() || only == "http") http();
    if (only.empty() || only == "postgres") postgres();
    if (only.empty() || only == "tak") tak();
    return std::move(figures_);
  }

 private:
  static double machine_idle_percent() {
    const auto ticks = [] {
      std::istringstream stat(integration::read_file("/proc/stat"));
      std::string cpu;
      double all = 0, idle = 0, one = 0;
      stat >> cpu;
      for (int column = 0; column < 8 && stat >> one; ++column) {
        all += one;
        if (column == 3) idle = one;
      }
      return std::pair{all, idle};
    };
    const auto [all_before, idle_before] = ticks();
    std::this_thread::sleep_for(seconds(1));
    const auto [all, idle] = ticks();
    return 100 * (idle - idle_before) / (all - all_before);
  }

  Service make_service(std::vector<std::string> sinks = {}, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--log-level", "warning"});
    return Service({bin_ / "detection-api", std::move(sinks), std::move(more)});
  }

  /// Starts it; seconds until /ready said 200.
  static double start(Service& service) {
    const auto begin = steady_clock::now();
    service.launch();
    while (service.ready_status() != 200) {
      if (!service.child().running() || since_s(begin) > 30) throw std::runtime_error("not ready:\n" + service.log());
      std::this_thread::sleep_for(milliseconds(1));
    }
    return since_s(begin);
  }

  static std::vector<std::string> post_requests(const Service& service) {
    std::vector<std::string> requests;
    for (std::uint64_t i = 0; i < 256; ++i)
      requests.push_back(
          http_request("POST", kPost, service.all_scopes_token(), integration::detection_json(i * 7'919)));
    return requests;
  }

  static LoadResult load(const LoadOptions& options) {
    auto result = run_load(options);
    if (result.errors + result.broken > 0 || result.answers == 0)
      throw std::runtime_error(fmt::format("load: {} answers, {} errors, {} broken connections, first status {}: {}",
                                           result.answers, result.errors, result.broken, result.first_error_status,
                                           result.first_error_body));
    return result;
  }

  LoadOptions posts(const Service& service, milliseconds duration) const {
    LoadOptions options;
    options.port = service.api_port();
    options.duration = duration;
    options.requests = post_requests(service);
    return options;
  }

  /// Runs some benchmarks of a room; what comes back finds one by its name.
  auto room(const char* program, const char* filter) const {
    auto found = run_room_benchmark((bin_ / program).string(), filter, sizes_.room_seconds);
    return [program, found = std::move(found)](std::string_view name) -> const RoomResult& {
      for (const auto& one : found)
        if (one.name == name) return one;
      throw std::runtime_error(fmt::format("{} has no benchmark {}", program, name));
    };
  }

  void rooms() {
    // One iteration of a batch is 1,024 items.
    constexpr double kItems = 1024;
    const auto located = room("geolocate_bench", "^locate_(single|request|batch_(own_poses|one_pose|scalar))$");
    const auto per_item = [&](const char* name) { return located(name).cpu_ns / kItems; };
    figures_.add("geolocate_ns", per_item("locate_batch_own_poses"), "ns",
                 fmt::format("one of a batch of 1,024, each with its own pose, with covariance and CE90, one core; "
                             "without vector units {:.0f} ns, one pose for all {:.0f} ns",
                             per_item("locate_batch_scalar"), per_item("locate_batch_one_pose")));
    figures_.add("geolocate_single_ns", located("locate_single").cpu_ns, "ns",
                 fmt::format("one call, with covariance and CE90; from a request's metadata {:.0f} ns",
                             located("locate_request").cpu_ns));
    const auto encoded = room("cot_bench", "^encode(_frame)?_batch$");
    figures_.add("cot_encode", encoded("encode_batch").items_per_second, "events/s",
                 "located detection to CoT XML with its covariance, one core");
    figures_.add("cot_encode_protobuf", encoded("encode_frame_batch").items_per_second, "events/s",
                 "the same to a stream frame of TAK Protocol v1, one core");
    add_encode_rivals(figures_, std::filesystem::canonical(bin_).parent_path().parent_path().parent_path(),
                      sizes_.room_seconds);
    credentials();
  }

  /// What it costs to know who asks.
  void credentials() {
    const auto verified =
        room("security_bench", "^(cached/threads:1|api_key/threads:1|uncached/(HS256|RS256|ES256|EdDSA))$");
    const auto cost_ns = [&](const char* name) { return verified(name).cpu_ns; };
    figures_.add(
        "token_cached_ns", cost_ns("cached/threads:1"), "ns",
        fmt::format("a bearer token seen before, with its hash; an API key {:.0f} ns", cost_ns("api_key/threads:1")));
    figures_.add("token_uncached_ns", cost_ns("uncached/HS256"), "ns",
                 fmt::format("HS256, first time seen; RS256 {:.0f}, ES256 {:.0f}, EdDSA {:.0f} ns",
                             cost_ns("uncached/RS256"), cost_ns("uncached/ES256"), cost_ns("uncached/EdDSA")));
  }

  void http() {
    Service service = make_service();
    const double start_empty_s = start(service);
    std::this_thread::sleep_for(milliseconds(500));
    figures_.add("memory_idle", static_cast<double>(integration::resident_bytes(service.child().pid())) / (1 << 20),
                 "MiB", "resident, ready, before the first request");

    compare(service, 64, "");
    if (sizes_.wide) compare(service, 256, "_256");
    fixed_rate(service);
    batches(service);

    const auto records = stored(service);
    if (const auto ended = service.terminate(seconds(60)); !ended || ended->code != 0)
      throw std::runtime_error("the service did not stop cleanly:\n" + service.log());
    figures_.add("start_to_ready_s", start(service), "s",
                 fmt::format("{} records in the store; empty: {:.3f} s", records, start_empty_s));
  }

  /// GET /health and the durable POST in turn.
  void compare(const Service& service, std::size_t connections, const std::string& suffix) {
    LoadOptions empty;
    empty.port = service.api_port();
    empty.connections = connections;
    empty.duration = sizes_.load;
    empty.requests = {http_request("GET", "/health")};
    LoadOptions durable = posts(service, sizes_.load);
    durable.connections = connections;
    std::vector<double> empty_rates, post_rates, ratios, p50, p99, longest, syncs;
    for (int i = 0; i < sizes_.rounds; ++i) {
      syncs.push_back(disk_sync_ms(service.data_dir()));
      empty_rates.push_back(load(empty).per_second);
      const auto result = load(durable);
      post_rates.push_back(result.per_second);
      ratios.push_back(post_rates.back() / empty_rates.back());
      p50.push_back(result.p50_ms);
      p99.push_back(result.p99_ms);
      longest.push_back(result.max_ms);
    }
    const auto how = fmt::format("{} kept-alive connections, limiters off, median of {} x {} ms in turn", connections,
                                 sizes_.rounds, sizes_.load.count());
    figures_.add("http_empty" + suffix, median(empty_rates), "requests/s", "GET /health; " + how);
    figures_.add("http_durable_post" + suffix, median(post_rates), "requests/s",
                 "POST of one detection, authenticated, on disk before the answer, no sink; " + how);
    figures_.add("http_durable_post_ratio" + suffix, median(ratios), "of http_empty", "median of the pairs");
    figures_.add("http_durable_post_p99_ms" + suffix, median(p99), "ms",
                 fmt::format("at full load; p50 {:.2f}, longest {:.1f}", median(p50), median(longest)));
    figures_.add("disk_sync_ms" + suffix, median(syncs), "ms",
                 "the disk itself, in turn with the above: 64 KiB written over and fdatasync, median of 50");
  }

  /// What any durable answer has to wait for on this disk at this moment: the baseline of every commit.
  static double disk_sync_ms(const std::filesystem::path& dir) {
    const auto path = dir / "sync.bench";
    const std::string text(64u << 10, 'x');
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    std::vector<double> times;
    for (int i = 0; i < 51; ++i) {
      const auto begin = steady_clock::now();
      if (::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) || ::fdatasync(fd) != 0)
        throw std::runtime_error("cannot write " + path.string());
      if (i > 0) times.push_back(since_s(begin) * 1000);  // the first one makes the file grow
    }
    ::close(fd);
    std::filesystem::remove(path);
    return median(times);
  }

  void fixed_rate(const Service& service) {
    LoadOptions options = posts(service, sizes_.load * 2);
    options.rate_per_s = 10'000;
    const auto result = load(options);
    figures_.add("http_durable_post_p99_at_10k_ms", result.p99_ms, "ms",
                 fmt::format("open loop at 10,000/s from when each was due, 64 connections; {:.0f}/s done, p50 {:.2f}, "
                             "longest {:.1f}",
                             result.per_second, result.p50_ms, result.max_ms));
  }

  /// The same on PostgreSQL, beside SQLite in turn. The database's processes share the cores with the service.
  void postgres() {
    if (const auto why = integration::PostgresServer::unavailable()) {
      for (const char* name : {"http_durable_post_postgres", "http_batch_detections_postgres"})
        figures_.add(name, 0, "per second", "not measured: " + *why);
      return;
    }
    integration::PostgresServer server({.fsync = true});
    server.create_database("bench");
    Service sqlite = make_service(), postgres = make_service({}, {"--database-url", server.url("bench")});
    start(sqlite);
    start(postgres);
    std::vector<double> with, without, ratios, p99;
    for (int i = 0; i < sizes_.rounds; ++i) {
      without.push_back(load(posts(sqlite, sizes_.load)).per_second);
      const auto result = load(posts(postgres, sizes_.load));
      with.push_back(result.per_second);
      p99.push_back(result.p99_ms);
      ratios.push_back(with.back() / without.back());
    }
    figures_.add(
        "http_durable_post_postgres", median(with), "requests/s",
        fmt::format("as http_durable_post, with 64 connections, on PostgreSQL (fsync on) on this machine; SQLite "
                    "in turn {:.0f}/s, ratio {:.2f}; p99 {:.1f} ms",
                    median(without), median(ratios), median(p99)));
    batches(postgres, "_postgres");
    if (const auto spooled = postgres.metric("spool_size"); spooled.value_or(0) != 0)
      throw std::runtime_error("what was measured is the spool, not the database");
  }

  void batches(const Service& service, const std::string& suffix = "") {
    LoadOptions options;
    options.port = service.api_port();
    options.connections = 4;
    options.duration = sizes_.load;
    for (std::uint64_t i = 0; i < 8; ++i)
      options.requests.push_back(http_request("POST", kPostBatch, service.all_scopes_token(),
                                              integration::batch_json(i * kBatch, kBatch, {})));
    check_batch(service);
    std::vector<double> rates, p99;
    for (int i = 0; i < sizes_.rounds; ++i) {
      const auto result = load(options);
      rates.push_back(result.per_second * kBatch);
      p99.push_back(result.p99_ms);
    }
    figures_.add(
        "http_batch_detections" + suffix, median(rates), "detections/s",
        fmt::format("batches of {}, 4 connections, all on disk before the answer, median of {} x {} ms; p99 of "
                    "a batch {:.0f} ms",
                    kBatch, sizes_.rounds, sizes_.load.count(), median(p99)));
  }

  /// A batch answers 200 whatever becomes of its items: see once that they are accepted.
  static void check_batch(const Service& service) {
    auto client = service.client();
    const auto answer = client.post(kPostBatch, integration::batch_json(1, kBatch, {}));
    if (!answer || answer->status != 200) throw std::runtime_error("a batch was refused");
    const auto json = nlohmann::json::parse(answer->body);
    for (const auto& one : json.at("results"))
      if (one.at("status") != 201) throw std::runtime_error("an item of a batch was refused: " + one.dump());
  }

  static std::uint64_t stored(const Service& service) {
    double sum = 0;
    std::istringstream lines(service.metrics());
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("detections_processed_total{")) sum += std::stod(line.substr(line.rfind(' ')));
    return static_cast<std::uint64_t>(sum);
  }

  static void hold(const Service& service, std::size_t count) {
    auto client = service.client();
    for (std::size_t done = 0; done < count; done += kBatch) {
      const auto answer = client.post(kPostBatch, integration::batch_json(done, kBatch, {}));
      if (!answer || answer->status != 200) throw std::runtime_error("a batch was refused");
    }
  }

  static double queued(const Service& service) {
    return service.metric(R"(offline_queue_size{sink="tak"})").value_or(-1);
  }

  /// Two services of the same history, with TAK away while both are measured: one holds everything, the other has
  /// delivered it. (A new store would be no baseline: a write-ahead log that still grows makes commits slower.)
  void tak() {
    FastSink never({.record_uids = false}), sink({.record_uids = false});
    Service holding = make_service({never.url()}), delivering = make_service({sink.url()});
    start(holding);
    start(delivering);
    hold(holding, sizes_.held);
    std::vector<double> rates, firsts;
    double events = 0;
    for (int i = 0; i < sizes_.returns; ++i) {
      sink.stop();
      hold(delivering, sizes_.held);
      std::this_thread::sleep_for(milliseconds(2'000));  // past the first, short steps of the backoff
      events += drain(delivering, sink, rates, firsts);
    }
    figures_.add(
        "tak_delivered", median(rates), "events/s",
        fmt::format("from the outbox of the running service over TCP, confirmed by pings, from the first event "
                    "to the last confirmation; {:.0f} events, median of {}",
                    events, rates.size()));
    figures_.add("first_after_return_s", median(firsts), "s",
                 "from the moment the TAK server listens to its first event; tries are at most 1.5 s apart");
    held_slowdown(holding, delivering, sink);
    figures_.add("memory_held", static_cast<double>(integration::resident_bytes(holding.child().pid())) / (1 << 20),
                 "MiB", fmt::format("resident, with {:.0f} detections held for TAK", queued(holding)));
    tak_tls();
  }

  /// The same over TLS: the server's certificate is checked, ours is sent where it asks.
  void tak_tls() {
    const tak::testing::TestAuthority authority("bench authority");
    const tak::testing::TemporaryFolder folder;
    const auto server = authority.server(), client = authority.client("bench");
    FastSink sink({.record_uids = false,
                   .certificate = folder.write("server.crt", server.certificate),
                   .key = folder.write("server.key", server.key)});
    folder.write("ca.crt", authority.certificate());
    folder.write("tls.crt", client.certificate);
    folder.write("tls.key", client.key);
    // The sink is called tak, as everywhere here.
    Service service = make_service({sink.url() + "?credentials=" + folder.path().string()});
    start(service);
    std::vector<double> rates, firsts;
    double events = 0;
    for (int i = 0; i < sizes_.returns; ++i) {
      sink.stop();
      hold(service, sizes_.held);
      events += drain(service, sink, rates, firsts);
    }
    figures_.add("tak_delivered_tls", median(rates), "events/s",
                 fmt::format("the same over TLS; {:.0f} events, median of {}", events, rates.size()));
  }

  /// Seconds and rate of one return of the TAK server; how many events came.
  static double drain(const Service& service, FastSink& sink, std::vector<double>& rates, std::vector<double>& firsts) {
    const double waiting = queued(service);
    const auto before = sink.events();
    const auto begin = steady_clock::now();
    sink.start();
    while (static_cast<double>(sink.events() - before) < waiting) {
      if (since_s(begin) > 120) throw std::runtime_error("the outbox does not drain");
      std::this_thread::sleep_for(milliseconds(5));
    }
    const auto events = static_cast<double>(sink.events() - before);
    rates.push_back(events / (static_cast<double>(sink.last_event_ns() - sink.first_event_ns()) / 1e9));
    firsts.push_back(static_cast<double>(sink.first_event_ns() - begin.time_since_epoch().count()) / 1e9);
    await_empty(service);
    return events;
  }

  static void await_empty(const Service& service) {
    if (!integration::wait_until(seconds(30), [&] { return queued(service) == 0; }))
      throw std::runtime_error("confirmed events are still in the outbox");
  }

  void held_slowdown(const Service& holding, const Service& delivering, FastSink& sink) {
    std::vector<double> slowdowns, with, without;
    for (int i = 0; i < sizes_.held_pairs; ++i) {
      sink.stop();
      const auto measure = [&](bool held) {
        (held ? with : without).push_back(load(posts(held ? holding : delivering, sizes_.load)).per_second);
      };
      measure(i % 2 == 0);
      measure(i % 2 != 0);
      slowdowns.push_back(100 * (1 - with.back() / without.back()));
      sink.start();
      await_empty(delivering);
    }
    figures_.add("held_slowdown", median(slowdowns), "%",
                 fmt::format("durable POSTs/s with {} and more held ({:.0f}) against all delivered ({:.0f}), stores of "
                             "the same history, TAK away in both, median of {} pairs in turn",
                             sizes_.held, median(with), median(without), slowdowns.size()));
  }

  std::filesystem::path bin_;
  const Sizes& sizes_;
  Figures figures_;
};

}  // namespace
}  // namespace detection::bench

int main(int argc, char** argv) {
  bool json = false, quick = false;
  std::string bin, only;
  std::size_t held = 0;
  CLI::App app{"Benchmark of the running service and of its rooms."};
  app.add_flag("--json", json, "one JSON object, name -> {value, unit, note}, and nothing else");
  app.add_flag("--quick", quick, "under 45 s, less exact");
  app.add_option("--bin", bin, "folder of the programs")->required();
  app.add_option("--only", only, "one part of it")->check(CLI::IsMember({"rooms", "http", "postgres", "tak"}));
  app.add_option("--held", held, "detections held for TAK, in place of 100000");
  CLI11_PARSE(app, argc, argv);
  try {
    auto sizes = quick ? detection::bench::kQuick : detection::bench::kFull;
    if (held > 0) sizes.held = held;
    const auto figures = detection::bench::ServiceBench(bin, sizes).run(only);
    std::printf("%s\n", (json ? figures.json() : figures.table()).c_str());
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bench: %s\n", problem.what());
    return 1;
  }
}
