#include "store/postgres/placeholders.hpp"

#include <algorithm>

namespace detection::store::postgres {
namespace {

constexpr int kMostParameters = 65'535;  // of the protocol

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<unsigned char>(c) & 0x80) != 0;
}

class Reader {
 public:
  explicit Reader(std::string_view sql) : sql_(sql) { out_.text.reserve(sql.size() + 16); }

  Numbered read() {
    while (at_ < sql_.size()) {
      const char c = sql_[at_];
      if (starts_name(c))
        name();
      else if (is_digit(c))
        copy_to(end_of_number(at_));
      else if (c == '\'' || c == '"')
        copy_to(end_of_quoted(at_, false));
      else if (sql_.substr(at_).starts_with("--"))
        copy_to(std::min(sql_.find('\n', at_), sql_.size()));
      else if (sql_.substr(at_).starts_with("/*"))
        copy_to(end_of_comment());
      else if (c == '$')
        dollar();
      else if (c == '?')
        question();
      else
        copy_to(at_ + 1);
    }
    return std::move(out_);
  }

 private:
  void copy_to(std::size_t end) {
    out_.text += sql_.substr(at_, end - at_);
    at_ = end;
  }

  std::size_t end_of_number(std::size_t from) const {
    while (from < sql_.size() && is_digit(sql_[from])) ++from;
    return from;
  }

  std::size_t end_of_quoted(std::size_t from, bool backslashes) const {
    const char quote = sql_[from];
    for (std::size_t i = from + 1; i < sql_.size(); ++i) {
      if (backslashes && sql_[i] == '\\')
        ++i;
      else if (sql_[i] == quote)
        return i + 1;  // a doubled quote is read as two texts side by side: the same end
    }
    return sql_.size();
  }

  // PostgreSQL's comments nest.
  std::size_t end_of_comment() const {
    int depth = 0;
    for (std::size_t i = at_; i < sql_.size(); ++i) {
      const auto rest = sql_.substr(i);
      if (rest.starts_with("/*")) {
        ++depth;
        ++i;
      } else if (rest.starts_with("*/")) {
        ++i;
        if (--depth == 0) return i + 1;
      }
    }
    return sql_.size();
  }

  // A name may hold digits and dollars; E before a quote makes backslashes escape.
  void name() {
    std::size_t end = at_;
    while (end < sql_.size() && (starts_name(sql_[end]) || is_digit(sql_[end]) || sql_[end] == '$')) ++end;
    const auto word = sql_.substr(at_, end - at_);
    if ((word == "E" || word == "e") && end < sql_.size() && sql_[end] == '\'') end = end_of_quoted(end, true);
    copy_to(end);
  }

  void dollar() {
    if (at_ + 1 < sql_.size() && is_digit(sql_[at_ + 1])) {
      const auto end = end_of_number(at_ + 1);
      note(number(at_ + 1, end));
      copy_to(end);
      return;
    }
    std::size_t end = at_ + 1;
    while (end < sql_.size() && (starts_name(sql_[end]) || is_digit(sql_[end]))) ++end;
    if (end == sql_.size() || sql_[end] != '$') {
      copy_to(at_ + 1);
      return;
    }
    const auto tag = sql_.substr(at_, end + 1 - at_);
    const auto close = sql_.find(tag, end + 1);
    copy_to(close == std::string_view::npos ? sql_.size() : close + tag.size());
  }

  void question() {
    const auto end = end_of_number(at_ + 1);
    const int index = end == at_ + 1 ? std::min(out_.parameters + 1, kMostParameters + 1) : number(at_ + 1, end);
    note(index);
    out_.text += '$' + std::to_string(index);
    at_ = end;
  }

  // One past the most stands for all that are too large: the server refuses it.
  int number(std::size_t from, std::size_t end) const {
    int value = 0;
    for (; from < end; ++from) value = std::min(value * 10 + (sql_[from] - '0'), kMostParameters + 1);
    return value;
  }

  void note(int index) { out_.parameters = std::max(out_.parameters, index); }

  std::string_view sql_;
  std::size_t at_ = 0;
  Numbered out_;
};

}  // namespace

Numbered number_parameters(std::string_view sql) {
  return Reader(sql).read();
}

}  // namespace detection::store::postgres
