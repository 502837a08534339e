#pragma once
// One serving process for each data directory: an advisory lock on a file of its own, so that SQLite's locks on the
// database stay free for backup and litestream. It ends with the process, however that ends.

#include <filesystem>
#include <utility>

#include "detection/error.hpp"

namespace detection::store::sqlite {

class DirectoryLock {
 public:
  DirectoryLock() = default;
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }

  /// kConfiguration, naming the process that holds it.
  [[nodiscard]] static Result<DirectoryLock> take(const std::filesystem::path& directory);

 private:
  int file_ = -1;
};

}  // namespace detection::store::sqlite
