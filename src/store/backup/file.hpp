#pragma once
// A file of a backup, by its descriptor. Errors: kCapacityExceeded where there is no room, kNotFound,
// kStoreUnavailable.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "detection/error.hpp"

namespace detection::store::backup {

class File {
 public:
  /// As open(2); a new one is for its owner to write and its group to read.
  [[nodiscard]] static Result<File> open(const std::filesystem::path& path, int flags);
  ~File();
  File(File&& other) noexcept : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File& operator=(File&&) = delete;

  [[nodiscard]] Result<std::int64_t> size() const;
  /// kValidationFailed: it ends before.
  [[nodiscard]] Result<void> read(std::int64_t at, char* to, std::size_t size) const;
  [[nodiscard]] Result<void> write(std::int64_t at, std::string_view bytes) const;
  /// Waits until the bytes [from, to) are on their disk. Done piece by piece, no large amount of them is ever waited
  /// for at once, by others that sync on that disk neither. sync() has still to be called.
  [[nodiscard]] Result<void> write_out(std::int64_t from, std::int64_t to) const;
  [[nodiscard]] Result<void> truncate(std::int64_t size) const;
  /// What is read of it afterwards comes from the disk, and the memory is left to those that serve.
  [[nodiscard]] Result<void> sync() const;

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
  static constexpr std::int64_t kChunkBytes = 1 << 16;

 private:
  File(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace detection::store::backup
