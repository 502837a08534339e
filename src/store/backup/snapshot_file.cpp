#include "store/backup/snapshot_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "store/sql/digest.hpp"

namespace detection::store::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "DETECTION-SNAP-1";
constexpr std::int64_t kTrailerBytes = 64, kHashBytes = 32;
constexpr std::int64_t kManifestMost = 1 << 20;
constexpr std::size_t kChunkBytes = 1 << 20;
static_assert(kMagic.size() == 16);

Error file_error(const std::string& what, const fs::path& path) {
  const int why = errno;
  const bool no_room = why == ENOSPC || why == EDQUOT || why == EFBIG;
  const auto code = no_room         ? ErrorCode::kCapacityExceeded
                    : why == ENOENT ? ErrorCode::kNotFound
                                    : ErrorCode::kStoreUnavailable;
  return {code, what + " " + path.string() + ": " + std::generic_category().message(why)};
}

std::unexpected<Error> bad(const fs::path& path, const std::string& why) {
  return fail(ErrorCode::kValidationFailed, path.string() + " is no good snapshot: " + why);
}

class File {
 public:
  [[nodiscard]] static Result<File> open(const fs::path& path, int flags) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0640);
    if (descriptor < 0) return std::unexpected(file_error("cannot open", path));
    return File(path, descriptor);
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(File&& other) noexcept : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File& operator=(File&&) = delete;

  [[nodiscard]] Result<std::int64_t> size() const {
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0) return std::unexpected(file_error("cannot read", path_));
    return status.st_size;
  }
  [[nodiscard]] Result<void> read(std::int64_t at, char* to, std::size_t size) const {
    while (size > 0) {
      const auto got = ::pread(descriptor_, to, size, at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::unexpected(file_error("cannot read", path_));
      if (got == 0) return bad(path_, "it ends too early");
      to += got;
      at += got;
      size -= static_cast<std::size_t>(got);
    }
    return {};
  }
  [[nodiscard]] Result<void> write(std::int64_t at, std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto put = ::pwrite(descriptor_, bytes.data(), bytes.size(), at);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return std::unexpected(file_error("cannot write", path_));
      at += put;
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }
  /// What is read of it afterwards comes from the disk, and the memory is left to those that serve.
  [[nodiscard]] Result<void> sync() const {
    if (::fsync(descriptor_) != 0) return std::unexpected(file_error("cannot write", path_));
    (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
    return {};
  }

  /// Bytes [from, to) piece by piece.
  template <class Take>
  [[nodiscard]] Result<void> each_chunk(std::int64_t from, std::int64_t to, Take take) const {
    std::vector<char> chunk(kChunkBytes);
    while (from < to) {
      const auto size = std::min<std::int64_t>(to - from, kChunkBytes);
      if (auto done = read(from, chunk.data(), static_cast<std::size_t>(size)); !done) return done;
      if (auto done = take(from, std::string_view(chunk.data(), static_cast<std::size_t>(size))); !done) return done;
      from += size;
    }
    return {};
  }

 private:
  File(fs::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  fs::path path_;
  int descriptor_;
};

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

Result<void> hash_into(RunningSha256& hash, const File& file, std::int64_t from, std::int64_t to, std::string_view what,
                       const Progress& progress) {
  return file.each_chunk(from, to, [&](std::int64_t at, std::string_view chunk) -> Result<void> {
    hash.add(chunk);
    if (progress) progress(what, at + static_cast<std::int64_t>(chunk.size()), to);
    return {};
  });
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

Result<Manifest> seal(const fs::path& file, Manifest manifest, const Progress& progress) {
  auto out = File::open(file, O_RDWR);
  if (!out) return std::unexpected(std::move(out.error()));
  auto size = out->size();
  if (!size) return std::unexpected(std::move(size.error()));
  if (*size == 0 || *size % kPageBytes != 0)
    return fail(ErrorCode::kInternal, "the pages of the snapshot are not whole");
  RunningSha256 hash;
  if (auto done = hash_into(hash, *out, 0, *size, "sealing", progress); !done)
    return std::unexpected(std::move(done.error()));
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

Result<Manifest> check_file(const fs::path& path, const Progress& progress) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(std::move(file.error()));
  auto size = file->size();
  if (!size) return std::unexpected(std::move(size.error()));
  auto trailer = read_trailer(*file, path, *size);
  if (!trailer) return std::unexpected(std::move(trailer.error()));
  RunningSha256 hash;
  if (auto done = hash_into(hash, *file, 0, trailer->pages_bytes, "reading", progress); !done)
    return std::unexpected(std::move(done.error()));
  const auto pages = sql::hex(hash.so_far());
  if (auto done = hash_into(hash, *file, trailer->pages_bytes, *size - kHashBytes, "reading", {}); !done)
    return std::unexpected(std::move(done.error()));
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

Result<void> copy_pages(const fs::path& path, const Manifest& manifest, const fs::path& to, const Progress& progress) {
  auto from = File::open(path, O_RDONLY);
  if (!from) return std::unexpected(std::move(from.error()));
  auto out = File::open(to, O_WRONLY | O_CREAT | O_EXCL);
  if (!out) return std::unexpected(std::move(out.error()));
  auto copied = from->each_chunk(0, manifest.pages_bytes, [&](std::int64_t at, std::string_view chunk) {
    if (progress) progress("copying", at + static_cast<std::int64_t>(chunk.size()), manifest.pages_bytes);
    return out->write(at, chunk);
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
