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
#include <string>
#include <string_view>
#include <variant>

namespace detection::telemetry {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
[[nodiscard]] std::string_view level_name(Level level) noexcept;
[[nodiscard]] std::optional<Level> parse_level(std::string_view name) noexcept;

struct Field {
  std::string_view name;  ///< a literal of ours
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

  [[nodiscard]] bool enabled(Level level) const noexcept;
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::telemetry
