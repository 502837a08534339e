#include "telemetry/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "detection/json_writer.hpp"
#include "detection/time.hpp"

namespace detection::telemetry {
namespace {

constexpr std::size_t kQueueBytesMost = 4U << 20;
constexpr std::size_t kDetectionsMost = 100;  ///< of a line

void begin_line(json::Writer& w, Level level, std::string_view event, std::string_view message) {
  w.begin_object();
  w.key("time");
  w.string(format_rfc3339_ms(system_now()));
  w.key("level");
  w.string(level_name(level));
  w.key("event");
  w.string(event);
  w.key("message");
  w.string(message);
}

void append_fields(json::Writer& w, std::initializer_list<Field> fields) {
  for (const auto& field : fields) {
    if (field.name.empty()) continue;
    w.key(field.name);
    if (const auto* text = std::get_if<std::string_view>(&field.value))
      w.string(*text);
    else if (const auto* whole = std::get_if<std::int64_t>(&field.value))
      w.integer(*whole);
    else if (const auto* number = std::get_if<double>(&field.value))
      w.number(*number);
    else
      w.boolean(std::get<bool>(field.value));
  }
}

void append_detections(json::Writer& w, std::span<const Uuid> detections) {
  if (detections.size() == 1) {
    w.key("detection_id");
    w.string(to_string(detections.front()));
    return;
  }
  w.key("detection_ids");
  w.begin_array();
  for (const auto& id : detections) w.string(to_string(id));
  w.end_array();
}

}  // namespace

std::string_view level_name(Level level) noexcept {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
  }
  return "error";
}

std::optional<Level> parse_level(std::string_view name) noexcept {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError})
    if (level_name(level) == name) return level;
  return std::nullopt;
}

struct Log::Impl {
  int descriptor;
  Level least;
  std::mutex mutex;
  std::condition_variable filled;
  std::string queue;
  bool ending = false;
  std::atomic<std::uint64_t> dropped{0};
  std::thread writer;

  void hand_over(std::string_view line) {
    bool was_empty = false;
    {
      const std::scoped_lock lock(mutex);
      if (queue.size() + line.size() > kQueueBytesMost) {
        dropped.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      was_empty = queue.empty();
      queue.append(line);
    }
    // Else the writer looks again anyway before it waits.
    if (was_empty) filled.notify_one();
  }

  void run() {
    std::string lines;
    std::unique_lock lock(mutex);
    while (true) {
      filled.wait(lock, [&] { return ending || !queue.empty(); });
      if (queue.empty()) return;
      lines.clear();
      lines.swap(queue);
      lock.unlock();
      std::size_t done = 0;
      while (done < lines.size()) {
        const auto written = ::write(descriptor, lines.data() + done, lines.size() - done);
        if (written > 0)
          done += static_cast<std::size_t>(written);
        else if (errno != EINTR)
          break;  // nobody reads: logging must not end the service
      }
      lock.lock();
    }
  }
};

Log::Log(int file_descriptor, Level least) : impl_(std::make_unique<Impl>()) {
  impl_->descriptor = file_descriptor;
  impl_->least = least;
  if (file_descriptor >= 0) impl_->writer = std::thread([this] { impl_->run(); });
}

Log::~Log() {
  if (!impl_->writer.joinable()) return;
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->filled.notify_one();
  impl_->writer.join();
}

bool Log::enabled(Level level) const noexcept {
  return impl_->descriptor >= 0 && level >= impl_->least;
}
std::uint64_t Log::dropped() const noexcept {
  return impl_->dropped.load(std::memory_order_relaxed);
}

void Log::write(Level level, std::string_view event, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  std::string line;
  line.reserve(256);
  json::Writer w(line);
  begin_line(w, level, event, message);
  append_fields(w, fields);
  w.end_object();
  line.push_back('\n');
  impl_->hand_over(line);
}

void Log::about(std::span<const Uuid> detections, Level level, std::string_view event, std::string_view message,
                std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  std::string line;
  while (!detections.empty()) {
    const auto now = detections.first(std::min(detections.size(), kDetectionsMost));
    detections = detections.subspan(now.size());
    line.clear();
    line.reserve(256 + 40 * now.size());
    json::Writer w(line);
    begin_line(w, level, event, message);
    append_detections(w, now);
    append_fields(w, fields);
    w.end_object();
    line.push_back('\n');
    impl_->hand_over(line);
  }
}

}  // namespace detection::telemetry
