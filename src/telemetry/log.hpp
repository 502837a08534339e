#pragma once
// JSON logs, one object a line (design.md 4.5). A line is made by its caller and handed to one thread that writes it:
// a slow pipe never holds up a request; lines that find the queue full are dropped and counted. Never log a secret.
//
//   log.info("tak_connected", "connected to the TAK server", {{"sink", name}, {"attempt", 3}});

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "detection/uuid.hpp"

namespace detection::telemetry {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
[[nodiscard]] std::string_view level_name(Level level) noexcept;
[[nodiscard]] std::optional<Level> parse_level(std::string_view name) noexcept;

struct Field {
  std::string_view name;  ///< a literal of ours; empty: left out
  std::variant<std::string_view, std::int64_t, double, bool> value;

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};

/// Left out where there is none.
inline Field where_given(std::string_view name, std::string_view value) {
  return {value.empty() ? std::string_view{} : name, value};
}

class Log {
 public:
  /// Writes to a file descriptor (1: stdout). -1 writes nowhere (commands, tests).
  explicit Log(int file_descriptor, Level least = Level::kInfo);
  ~Log();  ///< writes what is queued
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void write(Level level, std::string_view event, std::string_view message, std::initializer_list<Field> fields = {});
  void debug(std::string_view e, std::string_view m, std::initializer_list<Field> f = {}) {
    write(Level::kDebug, e, m, f);
  }
  void info(std::string_view e, std::string_view m, std::initializer_list<Field> f = {}) {
    write(Level::kInfo, e, m, f);
  }
  void warning(std::string_view e, std::string_view m, std::initializer_list<Field> f = {}) {
    write(Level::kWarning, e, m, f);
  }
  void error(std::string_view e, std::string_view m, std::initializer_list<Field> f = {}) {
    write(Level::kError, e, m, f);
  }

  /// The same about detections: with `detection_id` where it is one, else with `detection_ids`, a line for each
  /// hundred, so that the lines of a detection's way are found by its id and none is too long for a collector.
  void about(std::span<const Uuid> detections, Level level, std::string_view event, std::string_view message,
             std::initializer_list<Field> fields = {});

  [[nodiscard]] bool enabled(Level level) const noexcept;
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::telemetry
