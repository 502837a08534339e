#include "http/field_collector.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace detection::http {
namespace {

std::size_t characters(std::string_view utf8) noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool text_holds(const FieldSpec& spec, std::string_view text) {
  if (!spec.one_of.empty()) return std::ranges::find(spec.one_of, text) != spec.one_of.end();
  const auto length = static_cast<double>(characters(text));
  return length >= spec.least && length <= spec.most && (spec.holds == nullptr || spec.holds(text));
}

std::optional<std::int64_t> whole_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

FieldCollector::FieldCollector(std::span<const FieldSpec> table) : table_(table), seen_(table.size()) {
  values_.texts.resize(table.size());
  values_.booleans.resize(table.size());
  values_.integers.resize(table.size());
  values_.lists.resize(table.size());
  values_.times.resize(table.size());
}

FieldCollector::Found FieldCollector::find(std::string_view name, std::size_t& index) {
  const auto known = std::ranges::find(table_, name, &FieldSpec::name);
  if (known == table_.end() || name == kOtherFields) return Found::kUnknown;
  index = static_cast<std::size_t>(known - table_.begin());
  const bool twice = seen_[index];
  seen_[index] = true;
  return twice ? Found::kTwice : Found::kKnown;
}

void FieldCollector::text(std::size_t index, std::string_view text) {
  const auto& spec = table_[index];
  if (spec.type == FieldType::kTime) {
    const auto time = parse_rfc3339(text);
    if (!time) return wrong(spec.name, time.error().detail);
    values_.times[index] = *time;
  } else if (!text_holds(spec, text)) {
    return wrong(spec.name, spec.message);
  }
  values_.texts[index] = text;
}

void FieldCollector::integer(std::size_t index, double value) {
  const auto& spec = table_[index];
  if (!(value >= spec.least && value <= spec.most) || value != std::floor(value)) return wrong(spec.name, spec.message);
  values_.integers[index] = static_cast<std::int64_t>(value);
}

void FieldCollector::list(std::size_t index, std::vector<std::string> entries) {
  const auto& spec = table_[index];
  auto sorted = entries;
  std::ranges::sort(sorted);
  const auto count = static_cast<double>(entries.size());
  if (count < spec.least || count > spec.most || std::ranges::adjacent_find(sorted) != sorted.end() ||
      !std::ranges::all_of(entries, [&](const auto& entry) { return text_holds(spec, entry); }))
    return wrong(spec.name, spec.message);
  values_.lists[index] = std::move(entries);
}

void FieldCollector::from_text(std::size_t index, std::string_view value) {
  const auto& spec = table_[index];
  switch (spec.type) {
    case FieldType::kText:
    case FieldType::kTime: return text(index, value);
    case FieldType::kInteger: {
      const auto read = whole_number(value);
      return read ? integer(index, static_cast<double>(*read)) : wrong(spec.name, spec.message);
    }
    case FieldType::kBoolean:
      return value == "true" || value == "false" ? boolean(index, value == "true") : wrong(spec.name, spec.message);
    case FieldType::kTextList: return wrong(spec.name, spec.message);
  }
}

void FieldCollector::unknown(std::string_view name) {
  if (ignores_others(table_)) return;
  std::string message = "is not known; there are";
  for (std::size_t i = 0; i < table_.size(); ++i) message.append(i == 0 ? " " : ", ").append(table_[i].name);
  wrong(name, message);
}

Result<FieldValues> FieldCollector::finish() {
  for (std::size_t i = 0; i < table_.size(); ++i)
    if (table_[i].required && !seen_[i]) wrong(table_[i].name, "is required");
  if (!errors_.empty()) return std::unexpected(errors_.take());
  return std::move(values_);
}

}  // namespace detection::http
