// Events encoded and read per second, one core.

#include <benchmark/benchmark.h>

#include "cot/class_map.hpp"
#include "cot/event.hpp"
#include "cot/event_splitter.hpp"
#include "cot/reader.hpp"
#include "cot/test_detections.hpp"

namespace detection::cot {
namespace {

std::string one_event() {
  std::string xml;
  append_xml(xml, make_event(vehicle(), kTestNow, {}));
  return xml;
}

void encode(benchmark::State& state) {
  const auto detection = vehicle();
  const EventOptions options;
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_xml(out, make_event(detection, kTestNow, options));
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes"] = static_cast<double>(out.size());
}
BENCHMARK(encode);

/// As the courier does it: 512 events behind each other.
void encode_batch(benchmark::State& state) {
  const auto detection = vehicle();
  const EventOptions options;
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < 512; ++i) append_xml(out, make_event(detection, kTestNow, options));
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(512 * state.iterations());
}
BENCHMARK(encode_batch);

void read(benchmark::State& state) {
  const auto xml = one_event();
  for (auto _ : state) benchmark::DoNotOptimize(read_event(xml));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read);

void read_name(benchmark::State& state) {
  const auto xml = one_event();
  for (auto _ : state) benchmark::DoNotOptimize(read_event_name(xml));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read_name);

/// A stream of events in pieces of 1,400 bytes.
void split(benchmark::State& state) {
  std::string stream;
  for (int i = 0; i < 100; ++i) stream += one_event();
  EventSplitter splitter;
  std::int64_t events = 0;
  for (auto _ : state)
    for (std::size_t at = 0; at < stream.size(); at += 1400) {
      auto bytes = std::string_view(stream).substr(at, 1400);
      while (const auto event = splitter.next(bytes)) events += event->empty() ? 0 : 1;
    }
  state.SetItemsProcessed(events);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}
BENCHMARK(split);

void class_of(benchmark::State& state) {
  const auto map = ClassMap::built_in();
  for (auto _ : state) benchmark::DoNotOptimize(map.type_of("vehicle"));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(class_of);

}  // namespace
}  // namespace detection::cot

BENCHMARK_MAIN();
