#pragma once
// The operator's map (console/) as it was built: a few files in one archive, each already compressed, that the service
// gives away as they are. The archive is made by console/tools/pack.mjs:
//
//   detection-console 1
//   NAME MEDIA-TYPE HASH IDENTITY-BYTES GZIP-BYTES BROTLI-BYTES      one line a file
//                                                                    an empty line, then the bytes in that order
//
// NAME is the last part of its path; the hash is of the plain bytes, in hexadecimal. No bytes at all: no console.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"

namespace detection::http {

enum class ContentCoding : std::uint8_t { kIdentity, kGzip, kBrotli };
inline constexpr std::size_t kContentCodings = 3;
/// "gzip", "br"; "identity".
[[nodiscard]] std::string_view content_coding_name(ContentCoding coding) noexcept;
/// The shortest form that an Accept-Encoding takes (RFC 9110 section 12.5.3); identity for whoever names neither, and
/// where there is none.
[[nodiscard]] ContentCoding choose_content_coding(std::string_view accept_encoding) noexcept;

class ConsoleArchive {
 public:
  struct Form {
    std::string_view bytes{};
    std::string etag{};  ///< strong, so another for each form; with its quotes
  };
  struct File {
    std::string_view name{}, media_type{};
    std::array<Form, kContentCodings> forms{};  ///< by ContentCoding
  };

  /// None in it.
  ConsoleArchive() = default;
  /// The bytes stay where they are and must outlive the archive. kConfiguration: they are no archive.
  [[nodiscard]] static Result<ConsoleArchive> open(std::string_view bytes);

  [[nodiscard]] bool empty() const noexcept { return files_.empty(); }
  /// Null: there is none of that name.
  [[nodiscard]] const File* find(std::string_view name) const noexcept;

 private:
  std::vector<File> files_;
};

}  // namespace detection::http
