// Events encoded and read per second, one core.

#include <benchmark/benchmark.h>

#include "cot/class_map.hpp"
#include "cot/event.hpp"
#include "cot/event_splitter.hpp"
#include "cot/frame.hpp"
#include "cot/frame_reader.hpp"
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

/// The same as TAK Protocol v1 on a stream.
void encode_frame_batch(benchmark::State& state) {
  const auto detection = vehicle();
  const EventOptions options;
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < 512; ++i) append_frame(out, make_event(detection, kTestNow, options));
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(512 * state.iterations());
  state.counters["bytes"] = static_cast<double>(out.size()) / 512;
}
BENCHMARK(encode_frame_batch);

/// Any event's XML as a frame: the way of what is rare.
void convert(benchmark::State& state) {
  const auto xml = one_event();
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(append_frame_of_xml(out, xml, WireFormat::kFrame));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(convert);

void read_one_frame(benchmark::State& state) {
  std::string frame;
  const auto detection = vehicle();
  append_datagram(frame, make_event(detection, kTestNow, {}));
  const auto payload = std::string_view(frame).substr(kDatagramHead.size());
  for (auto _ : state) benchmark::DoNotOptimize(read_frame(payload));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read_one_frame);

void read_name_of_frame(benchmark::State& state) {
  std::string frame;
  const auto detection = vehicle();
  append_datagram(frame, make_event(detection, kTestNow, {}));
  const auto payload = std::string_view(frame).substr(kDatagramHead.size());
  for (auto _ : state) benchmark::DoNotOptimize(read_frame_name(payload));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read_name_of_frame);

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
