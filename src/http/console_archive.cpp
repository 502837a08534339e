#include "http/console_archive.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "http/media.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kFirstLine = "detection-console 1";
constexpr std::string_view kBlanks = " \t";

/// Cuts up to `separator` off the front; none: it does not occur.
std::optional<std::string_view> cut(std::string_view& rest, char separator) noexcept {
  const auto end = rest.find(separator);
  if (end == std::string_view::npos) return std::nullopt;
  const auto part = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return part;
}

std::optional<std::size_t> whole_number(std::string_view text) noexcept {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

/// "q=0", "q=0.000": not at all.
bool refuses(std::string_view parameter) noexcept {
  parameter = trimmed(parameter);
  if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) return false;
  return parameter.substr(2).find_first_not_of("0.") == std::string_view::npos;
}

/// One line of the index; how long its forms are goes into `sizes`.
std::optional<ConsoleArchive::File> read_line(std::string_view line, std::array<std::size_t, kContentCodings>& sizes) {
  ConsoleArchive::File file;
  const auto name = cut(line, ' '), media_type = cut(line, ' '), hash = cut(line, ' ');
  if (!name || !media_type || !hash || name->empty() || media_type->empty() || hash->empty()) return std::nullopt;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto last = i + 1 == sizes.size();
    const auto text = last ? std::optional(line) : cut(line, ' ');
    const auto size = text ? whole_number(*text) : std::nullopt;
    if (!size) return std::nullopt;
    sizes[i] = *size;
    file.forms[i].etag =
        "\"" + std::string(*hash) + "-" + std::string(content_coding_name(static_cast<ContentCoding>(i))) + "\"";
  }
  file.name = *name;
  file.media_type = *media_type;
  return file;
}

std::unexpected<Error> broken(std::string_view why) {
  return fail(ErrorCode::kConfiguration, "the console that was built in cannot be read: " + std::string(why));
}

}  // namespace

std::string_view content_coding_name(ContentCoding coding) noexcept {
  switch (coding) {
    case ContentCoding::kIdentity: return "identity";
    case ContentCoding::kGzip: return "gzip";
    case ContentCoding::kBrotli: return "br";
  }
  return "identity";
}

ContentCoding choose_content_coding(std::string_view accept_encoding) noexcept {
  auto best = ContentCoding::kIdentity;
  while (!accept_encoding.empty()) {
    const auto end = std::min(accept_encoding.find(','), accept_encoding.size());
    auto parameters = accept_encoding.substr(0, end);
    accept_encoding.remove_prefix(std::min(end + 1, accept_encoding.size()));
    const auto mark = std::min(parameters.find(';'), parameters.size());
    const auto name = trimmed(parameters.substr(0, mark));
    if (mark < parameters.size() && refuses(parameters.substr(mark + 1))) continue;
    for (const auto coding : {ContentCoding::kGzip, ContentCoding::kBrotli})
      if (equal_ignoring_case(name, content_coding_name(coding))) best = std::max(best, coding);
  }
  return best;
}

Result<ConsoleArchive> ConsoleArchive::open(std::string_view bytes) {
  ConsoleArchive archive;
  if (bytes.empty()) return archive;
  if (cut(bytes, '\n') != kFirstLine) return broken("its first line is another one");
  std::vector<std::array<std::size_t, kContentCodings>> sizes;
  while (true) {
    const auto line = cut(bytes, '\n');
    if (!line) return broken("its index has no end");
    if (line->empty()) break;
    auto file = read_line(*line, sizes.emplace_back());
    if (!file) return broken("a line of its index is not as it should be");
    archive.files_.push_back(std::move(*file));
  }
  for (std::size_t i = 0; i < archive.files_.size(); ++i)
    for (std::size_t form = 0; form < kContentCodings; ++form) {
      if (sizes[i][form] > bytes.size()) return broken("it ends too early");
      archive.files_[i].forms[form].bytes = bytes.substr(0, sizes[i][form]);
      bytes.remove_prefix(sizes[i][form]);
    }
  if (!bytes.empty()) return broken("it is longer than its index says");
  return archive;
}

const ConsoleArchive::File* ConsoleArchive::find(std::string_view name) const noexcept {
  const auto file = std::ranges::find(files_, name, &File::name);
  return file == files_.end() ? nullptr : &*file;
}

}  // namespace detection::http
