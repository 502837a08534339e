#pragma once
// The file of a snapshot: the pages of a SQLite database | the manifest, JSON | zeros | a trailer of 64 bytes (magic,
// how many bytes of pages and of manifest, SHA-256 of everything before it). Its size is whole pages of 4096 bytes.
// SQLite opens it as it stands. A byte that changes anywhere, a missing end or an added one shows by the trailer alone,
// which is not a signature: who can write the file can also make the hash anew.

#include <filesystem>
#include <string>

#include "store/backup/manifest.hpp"
#include "store/backup/work.hpp"

namespace detection::store::backup {

inline constexpr std::int64_t kPageBytes = 4096;

/// Puts manifest and trailer behind the pages and brings the whole to the disk. The manifest's words on the pages are
/// set here.
[[nodiscard]] Result<Manifest> seal(const std::filesystem::path& file, Manifest manifest, Work& work);

/// Reads all of it. kValidationFailed: the file is no whole snapshot as it was written; the detail says what is wrong.
/// kNotFound: there is no such file.
[[nodiscard]] Result<Manifest> check_file(const std::filesystem::path& file, Work& work);

/// The pages alone as a database of their own, brought to the disk. `to` must not exist.
[[nodiscard]] Result<void> copy_pages(const std::filesystem::path& file, const Manifest& manifest,
                                      const std::filesystem::path& to, Work& work);

/// The names in a folder are on its disk.
[[nodiscard]] Result<void> sync_folder(const std::filesystem::path& folder);

}  // namespace detection::store::backup
