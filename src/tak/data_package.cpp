#include "tak/data_package.hpp"

#include <zip.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <optional>

#include "cot/elements.hpp"
#include "tak/certificate.hpp"
#include "tak/credentials.hpp"

namespace detection::tak {
namespace {

std::unexpected<Error> wrong(std::string why) {
  return fail(ErrorCode::kConfiguration, std::move(why));
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.find_last_of("/\\") + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// For messages: names come from outside.
std::string shown(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 100)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return "'" + out + "'";
}

bool leaves_its_folder(std::string_view name) {
  if (name.starts_with('/') || name.find('\\') != std::string_view::npos || name.find(':') != std::string_view::npos)
    return true;
  while (!name.empty()) {
    const auto part = name.substr(0, name.find('/'));
    if (part == "..") return true;
    name.remove_prefix(std::min(name.size(), part.size() + 1));
  }
  return false;
}

class Archive {
 public:
  Archive(std::string_view bytes, const PackageLimits& limits) : limits_(limits) {
    zip_error_init(&error_);
    auto* const source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error_);
    if (source == nullptr) return;
    zip_ = zip_open_from_source(source, ZIP_RDONLY, &error_);
    if (zip_ == nullptr) zip_source_free(source);
  }
  ~Archive() {
    if (zip_ != nullptr) zip_discard(zip_);
    zip_error_fini(&error_);
  }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  /// The names, by base name: folders differ from server to server.
  Result<void> list() {
    if (zip_ == nullptr)
      return wrong(std::string("this is no zip file that can be read: ") + zip_error_strerror(&error_));
    const auto count = zip_get_num_entries(zip_, 0);
    if (count > static_cast<zip_int64_t>(limits_.entries))
      return wrong("the package has more than " + std::to_string(limits_.entries) + " entries");
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* raw = zip_get_name(zip_, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_GUESS);
      if (raw == nullptr) return wrong("the package has an entry without a name");
      const std::string name(raw);
      if (name.empty() || name.size() > limits_.name_bytes)
        return wrong("the package has an entry with an impossible name");
      if (leaves_its_folder(name))
        return wrong("the package has an entry " + shown(name) +
                     ", whose name leaves its folder: it is not to be trusted");
      if (name.ends_with('/')) continue;
      names_.push_back(name);
      indices_.push_back(static_cast<zip_uint64_t>(i));
    }
    return {};
  }

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  /// Whatever size is stated, never more than the limit is unpacked.
  Result<std::string> read(std::size_t at) const {
    const auto& name = names_[at];
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(zip_, indices_[at], 0), zip_fclose);
    if (!file) return wrong("the entry " + shown(name) + " cannot be read: " + zip_error_strerror(zip_get_error(zip_)));
    std::string out(limits_.entry_bytes + 1, '\0');
    std::size_t filled = 0;
    while (filled < out.size()) {
      const auto got = zip_fread(file.get(), out.data() + filled, out.size() - filled);
      if (got < 0) return wrong("the entry " + shown(name) + " is damaged");
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    if (filled > limits_.entry_bytes)
      return wrong("the entry " + shown(name) + " is larger than " + std::to_string(limits_.entry_bytes >> 10) +
                   " KiB");
    out.resize(filled);
    return out;
  }

  /// The entry whose base name that is, else that has it in other letters' case. Two of them with other contents are
  /// two answers, and so none.
  Result<std::string> read_by_base_name(std::string_view wanted) const {
    for (const bool exact : {true, false}) {
      std::optional<std::string> found;
      for (std::size_t i = 0; i < names_.size(); ++i) {
        const auto name = base_name(names_[i]);
        if (exact ? name != wanted : lower(name) != lower(wanted)) continue;
        auto bytes = read(i);
        if (!bytes) return bytes;
        if (found && *found != *bytes)
          return wrong("the package has two files " + shown(wanted) + " that are not the same");
        found = std::move(*bytes);
      }
      if (found) return std::move(*found);
    }
    return wrong("the preference file names " + shown(wanted) + ", which the package does not have");
  }

 private:
  const PackageLimits& limits_;
  zip_error_t error_{};
  zip_t* zip_ = nullptr;
  std::vector<std::string> names_;
  std::vector<zip_uint64_t> indices_;
};

using Entries = std::map<std::string, std::string, std::less<>>;

/// "caLocation0" of a stream, else "caLocation" of all.
std::string setting(const Entries& entries, std::string_view key, std::size_t stream) {
  for (const auto& name : {std::string(key) + std::to_string(stream), std::string(key)})
    if (const auto found = entries.find(name); found != entries.end() && !found->second.empty()) return found->second;
  return {};
}

std::string extension_of(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : lower(name.substr(dot + 1));
}

Result<std::string> find_preference(const Archive& archive) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < archive.names().size(); ++i) {
    if (extension_of(archive.names()[i]) != "pref") continue;
    if (found) return wrong("the package has several preference files (*.pref)");
    found = i;
  }
  if (!found)
    return wrong(
        "the package has no preference file (*.pref), so it is no connection package: take the one that the "
        "server's administrator makes for a client's connection");
  return archive.read(*found);
}

Result<void> add_client(const Archive& archive, const ConnectionPreference& preference, ConnectionPackage& out) {
  if (preference.client_file.empty()) return {};
  const auto bytes = archive.read_by_base_name(preference.client_file);
  if (!bytes) return std::unexpected(bytes.error());
  auto content = read_pkcs12(*bytes, preference.client_password, "the package's " + shown(preference.client_file));
  if (!content) return std::unexpected(content.error());
  if (!content->key || !content->leaf)
    return wrong("the package's " + shown(preference.client_file) + " holds no private key with its certificate");
  out.subject = subject_of(content->leaf.get());
  out.expires = expires_at(content->leaf.get());
  out.files["tls.crt"] = pem_of(content->leaf.get()) + pem_of(content->others);
  out.files["tls.key"] = pem_of(content->key.get());
  return {};
}

Result<void> add_authorities(const Archive& archive, const ConnectionPreference& preference, ConnectionPackage& out) {
  if (preference.authority_file.empty()) return {};
  const auto bytes = archive.read_by_base_name(preference.authority_file);
  if (!bytes) return std::unexpected(bytes.error());
  auto content =
      read_pkcs12(*bytes, preference.authority_password, "the package's " + shown(preference.authority_file));
  if (!content) return std::unexpected(content.error());
  // Some sites name the client's own file as its trust store; the leaf is no authority then.
  if (content->leaf && !content->key) content->others.insert(content->others.begin(), std::move(content->leaf));
  if (content->others.empty())
    return wrong("the package's " + shown(preference.authority_file) + " holds no authority");
  out.files["ca.crt"] = pem_of(only_authorities(std::move(content->others)));
  return {};
}

}  // namespace

Result<ConnectionPreference> parse_connection_preference(std::string_view xml) {
  const auto elements = cot::read_elements(xml, {.bytes = PackageLimits{}.entry_bytes});
  if (!elements) return wrong("the preference file is unreadable: " + elements.error().detail);
  Entries entries;
  for (const auto& element : *elements) {
    const auto key = element.name == "entry" ? element.attributes.find("key") : element.attributes.end();
    if (key != element.attributes.end()) entries.emplace(key->second, element.text);
  }
  ConnectionPreference out;
  std::optional<std::size_t> first;
  std::string refused;
  constexpr std::size_t kStreamsMost = 32;
  for (std::size_t i = 0; i < kStreamsMost; ++i) {
    const auto text = entries.find("connectString" + std::to_string(i));
    if (text == entries.end()) continue;
    auto url = endpoint_url(text->second, true);
    if (!url) {
      refused = text->second;
      continue;
    }
    if (!first) first = i;
    const auto description = entries.find("description" + std::to_string(i));
    out.streams.push_back({std::move(*url), description == entries.end() ? "" : description->second});
  }
  if (!first)
    return wrong(refused.empty() ? "the preference file names no server (connectString0)"
                                 : "the preference file's server " + shown(refused) + " is not HOST:PORT:ssl or tcp");
  out.client_file = base_name(setting(entries, "certificateLocation", *first));
  out.client_password = setting(entries, "clientPassword", *first);
  out.authority_file = base_name(setting(entries, "caLocation", *first));
  out.authority_password = setting(entries, "caPassword", *first);
  return out;
}

Result<std::string> parse_package_manifest(std::string_view xml) {
  const auto elements = cot::read_elements(xml, {.bytes = PackageLimits{}.entry_bytes});
  if (!elements) return wrong("MANIFEST/manifest.xml is unreadable: " + elements.error().detail);
  if (elements->front().name != "MissionPackageManifest")
    return wrong("MANIFEST/manifest.xml is no MissionPackageManifest");
  for (const auto& element : *elements) {
    const auto name = element.attributes.find("name");
    const auto value = element.attributes.find("value");
    if (element.name == "Parameter" && name != element.attributes.end() && name->second == "name" &&
        value != element.attributes.end())
      return value->second;
  }
  return std::string();
}

Result<ConnectionPackage> read_data_package(std::string_view zip, const PackageLimits& limits) {
  if (zip.size() > limits.zip_bytes)
    return wrong("the package is larger than " + std::to_string(limits.zip_bytes >> 20) + " MiB");
  Archive archive(zip, limits);
  if (auto listed = archive.list(); !listed) return std::unexpected(listed.error());
  ConnectionPackage out;
  for (std::size_t i = 0; i < archive.names().size(); ++i) {
    if (lower(archive.names()[i]) != "manifest/manifest.xml") continue;
    const auto text = archive.read(i);
    if (!text) return std::unexpected(text.error());
    auto name = parse_package_manifest(*text);
    if (!name) return std::unexpected(name.error());
    out.name = std::move(*name);
  }
  const auto text = find_preference(archive);
  if (!text) return std::unexpected(text.error());
  auto preference = parse_connection_preference(*text);
  if (!preference) return std::unexpected(preference.error());
  if (auto done = add_client(archive, *preference, out); !done) return std::unexpected(done.error());
  if (auto done = add_authorities(archive, *preference, out); !done) return std::unexpected(done.error());
  out.endpoint = preference->streams.front().url;
  out.files["endpoint"] = out.endpoint + "\n";
  out.others.assign(preference->streams.begin() + 1, preference->streams.end());
  return out;
}

}  // namespace detection::tak
