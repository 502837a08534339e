#pragma once
// Writes a credentials folder (credentials.hpp) so that nobody ever sees half of it.

#include <filesystem>
#include <map>
#include <string>

#include "detection/error.hpp"

namespace detection::tak {

/// By name; an empty text removes a file.
using CredentialFiles = std::map<std::string, std::string>;

/// Writes `files` (each 0600) and keeps what else is in the folder. The folder (0700 when it is new) is made anew
/// beside itself and takes the place of the old one in one step, so a reader has all of the old files or all of the new
/// ones, whenever power fails too. kConfiguration in words, with nothing changed: no folder can be made beside it, it
/// is a mount point (write to a folder below that), or it holds folders of its own (a mounted secret does).
[[nodiscard]] Result<void> write_credentials_folder(const std::filesystem::path& folder, const CredentialFiles& files);

}  // namespace detection::tak
