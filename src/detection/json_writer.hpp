#pragma once
// Append-only JSON text (RFC 8259) into a caller's string: fixed shapes, no tree, no locale.
// Numbers are the shortest text that reads back to the same double. Keys and raw values must be valid JSON already
// (string literals of ours); strings are escaped and must be valid UTF-8.
//
//   json::Writer w(out);
//   w.begin_object(); w.key("lat"); w.number(1.5); w.key("items"); w.begin_array(); ... w.end_array(); w.end_object();

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace detection::json {

void append_number(std::string& out, double value);  ///< NaN and infinities are written as null
void append_integer(std::string& out, std::int64_t value);
void append_string(std::string& out, std::string_view text);  ///< with its quotes

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  void key(std::string_view literal) {
    separate();
    out_.push_back('"');
    out_.append(literal);
    out_.append("\":");
    first_ = true;
  }
  void number(double value) {
    separate();
    append_number(out_, value);
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  void integer(T value) {
    separate();
    append_integer(out_, static_cast<std::int64_t>(value));
  }
  void boolean(bool value) { raw(value ? "true" : "false"); }
  void null() { raw("null"); }
  void string(std::string_view text) {
    separate();
    append_string(out_, text);
  }
  /// A JSON value that is text already.
  void raw(std::string_view json) {
    separate();
    out_.append(json);
  }
  [[nodiscard]] std::string& out() { return out_; }

 private:
  void separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  void open(char bracket) {
    separate();
    out_.push_back(bracket);
    first_ = true;
  }
  void close(char bracket) {
    out_.push_back(bracket);
    first_ = false;
  }

  std::string& out_;
  bool first_ = true;
};

}  // namespace detection::json
