#pragma once
// For tests: zip files, of good and of hostile names.

#include <string>
#include <utility>
#include <vector>

namespace detection::tak::testing {

using ZipEntries = std::vector<std::pair<std::string, std::string>>;  ///< name and contents
[[nodiscard]] std::string make_zip(const ZipEntries& entries);

}  // namespace detection::tak::testing
