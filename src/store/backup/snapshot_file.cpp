#include "store/backup/snapshot_file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "store/backup/file.hpp"
#include "store/sql/digest.hpp"

namespace detection::store::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "DETECTION-SNAP-1";
constexpr std::int64_t kTrailerBytes = 64, kHashBytes = 32;
constexpr std::int64_t kManifestMost = 1 << 20;
static_assert(kMagic.size() == 16);

std::unexpected<Error> bad(const fs::path& path, const std::string& why) {
  return fail(ErrorCode::kValidationFailed, path.string() + " is no good snapshot: " + why);
}

void put(std::string& out, std::int64_t value) {
  for (unsigned i = 0; i < 8; ++i) out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
}
std::int64_t get(const char* from) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) value |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return static_cast<std::int64_t>(value);
}

std::string_view text_of(const Sha256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

Result<void> write_out_and_rest(const File& out, std::int64_t at, std::string_view chunk, std::int64_t total,
                                std::string_view what, Work& work) {
  const auto end = at + static_cast<std::int64_t>(chunk.size());
  work.tell(what, end, total);
  if (!work.gives_way()) return {};
  if (auto done = out.write_out(at, end); !done) return done;
  work.breathe();
  return {};
}

struct Trailer {
  std::int64_t pages_bytes = 0, manifest_bytes = 0;
};

/// What the end of the file says, as far as it can be true of a file of this size.
Result<Trailer> read_trailer(const File& file, const fs::path& path, std::int64_t size) {
  if (size < kPageBytes || size % kPageBytes != 0) return bad(path, "its size is not one that a snapshot has");
  std::array<char, kTrailerBytes> raw;
  if (auto done = file.read(size - kTrailerBytes, raw.data(), raw.size()); !done)
    return std::unexpected(std::move(done.error()));
  if (std::string_view(raw.data(), kMagic.size()) != kMagic) return bad(path, "it does not end as a snapshot does");
  const Trailer trailer{get(raw.data() + 16), get(raw.data() + 24)};
  const auto used = size - kTrailerBytes;
  const bool possible = trailer.pages_bytes > 0 && trailer.pages_bytes % kPageBytes == 0 &&
                        trailer.pages_bytes <= used && trailer.manifest_bytes > 0 &&
                        trailer.manifest_bytes <= std::min(kManifestMost, used - trailer.pages_bytes) &&
                        used - trailer.pages_bytes - trailer.manifest_bytes < kPageBytes;
  if (!possible) return bad(path, "the lengths in its trailer do not fit its size");
  return trailer;
}

}  // namespace

Result<Manifest> seal(const fs::path& file, Manifest manifest, Work& work) {
  auto out = File::open(file, O_RDWR);
  if (!out) return std::unexpected(std::move(out.error()));
  auto size = out->size();
  if (!size) return std::unexpected(std::move(size.error()));
  if (*size == 0 || *size % kPageBytes != 0)
    return fail(ErrorCode::kInternal, "the pages of the snapshot are not whole");
  RunningSha256 hash;
  auto hashed = out->each_chunk(0, *size, [&](std::int64_t at, std::string_view chunk) -> Result<void> {
    hash.add(chunk);
    return write_out_and_rest(*out, at, chunk, *size, "sealing", work);
  });
  if (!hashed) return std::unexpected(std::move(hashed.error()));
  manifest.pages_bytes = *size;
  manifest.pages_sha256 = sql::hex(hash.so_far());
  auto end = manifest_json(manifest);
  const auto manifest_bytes = static_cast<std::int64_t>(end.size());
  if (manifest_bytes > kManifestMost) return fail(ErrorCode::kInternal, "the manifest is too long");
  const auto over = (manifest_bytes + kTrailerBytes) % kPageBytes;
  end.append(static_cast<std::size_t>(over == 0 ? 0 : kPageBytes - over), '\0');
  end.append(kMagic);
  put(end, *size);
  put(end, manifest_bytes);
  hash.add(end);
  end.append(text_of(hash.so_far()));
  if (auto done = out->write(*size, end); !done) return std::unexpected(std::move(done.error()));
  if (auto done = out->sync(); !done) return std::unexpected(std::move(done.error()));
  return manifest;
}

Result<Manifest> check_file(const fs::path& path, Work& work) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(std::move(file.error()));
  auto size = file->size();
  if (!size) return std::unexpected(std::move(size.error()));
  auto trailer = read_trailer(*file, path, *size);
  if (!trailer) return std::unexpected(std::move(trailer.error()));
  RunningSha256 hash;
  auto read = file->each_chunk(0, trailer->pages_bytes, [&](std::int64_t at, std::string_view chunk) -> Result<void> {
    hash.add(chunk);
    work.tell("reading", at + static_cast<std::int64_t>(chunk.size()), trailer->pages_bytes);
    work.breathe();
    return {};
  });
  if (!read) return std::unexpected(std::move(read.error()));
  const auto pages = sql::hex(hash.so_far());
  auto read_end = file->each_chunk(trailer->pages_bytes, *size - kHashBytes,
                                   [&](std::int64_t, std::string_view chunk) -> Result<void> {
                                     hash.add(chunk);
                                     return {};
                                   });
  if (!read_end) return std::unexpected(std::move(read_end.error()));
  std::array<char, kHashBytes> stated;
  if (auto done = file->read(*size - kHashBytes, stated.data(), stated.size()); !done)
    return std::unexpected(std::move(done.error()));
  if (std::string_view(stated.data(), stated.size()) != text_of(hash.so_far()))
    return bad(path, "its SHA-256 is not the one that it states: it was changed or damaged");
  std::string json(static_cast<std::size_t>(trailer->manifest_bytes), '\0');
  if (auto done = file->read(trailer->pages_bytes, json.data(), json.size()); !done)
    return std::unexpected(std::move(done.error()));
  auto manifest = parse_manifest(json);
  if (!manifest) return bad(path, manifest.error().detail);
  if (manifest->pages_bytes != trailer->pages_bytes || manifest->pages_sha256 != pages)
    return bad(path, "its pages are not those that its manifest names");
  return manifest;
}

Result<void> copy_pages(const fs::path& path, const Manifest& manifest, const fs::path& to, Work& work) {
  auto from = File::open(path, O_RDONLY);
  if (!from) return std::unexpected(std::move(from.error()));
  auto out = File::open(to, O_WRONLY | O_CREAT | O_EXCL);
  if (!out) return std::unexpected(std::move(out.error()));
  auto copied = from->each_chunk(0, manifest.pages_bytes, [&](std::int64_t at, std::string_view chunk) -> Result<void> {
    if (auto done = out->write(at, chunk); !done) return done;
    return write_out_and_rest(*out, at, chunk, manifest.pages_bytes, "copying", work);
  });
  if (!copied) return copied;
  return out->sync();
}

Result<void> sync_folder(const fs::path& folder) {
  auto file = File::open(folder.empty() ? fs::path(".") : folder, O_RDONLY | O_DIRECTORY);
  if (!file) return std::unexpected(std::move(file.error()));
  return file->sync();
}

}  // namespace detection::store::backup
