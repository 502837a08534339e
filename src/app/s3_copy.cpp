#include "app/s3_copy.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <vector>

#include "app/s3_client.hpp"

namespace detection::app {
namespace {

/// S3 takes at most 10,000 parts: so files of up to 160 GB.
constexpr std::int64_t kPartBytes = 16 << 20;
constexpr const char* kChecksum = "x-amz-checksum-sha256";

/// A bucket under object lock takes nothing without its checksum; some servers look only at the second name.
std::map<std::string, std::string> checksum_headers(const std::string& checksum) {
  return {{kChecksum, checksum}, {"x-amz-sdk-checksum-algorithm", "SHA256"}};
}

std::string header(const WebClient::Answer& answer, std::string_view name) {
  const auto found = std::ranges::find(answer.headers, name, &std::pair<std::string, std::string>::first);
  return found == answer.headers.end() ? std::string() : found->second;
}

std::unexpected<Error> unreadable(const std::filesystem::path& file) {
  return fail(ErrorCode::kStoreUnavailable, "cannot read " + file.string());
}

class Copy {
 public:
  Copy(const std::filesystem::path& file, const S3Target& target, const S3Credentials& credentials,
       const S3Progress& progress)
      : file_(file),
        progress_(progress),
        client_(target, credentials),
        key_((target.prefix.empty() ? "" : target.prefix + "/") + file.filename().string()) {}

  Result<S3Copied> run() {
    std::error_code failure;
    size_ = static_cast<std::int64_t>(std::filesystem::file_size(file_, failure));
    in_.open(file_, std::ios::binary);
    if (failure || !in_) return unreadable(file_);
    auto put = size_ <= kPartBytes ? put_whole() : put_parts();
    if (!put) return std::unexpected(std::move(put.error()));
    auto read_back = check();
    if (!read_back) return std::unexpected(std::move(read_back.error()));
    return S3Copied{key_, *read_back};
  }

 private:
  Result<std::string> read(std::int64_t at) {
    std::string piece(static_cast<std::size_t>(std::min(kPartBytes, size_ - at)), '\0');
    in_.clear();
    in_.seekg(at);
    in_.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (in_.gcount() != static_cast<std::streamsize>(piece.size())) return unreadable(file_);
    return piece;
  }

  void tell(std::int64_t done) const {
    if (progress_) progress_("to S3", done, size_);
  }

  Result<void> put_whole() {
    auto piece = read(0);
    if (!piece) return std::unexpected(std::move(piece.error()));
    checksum_ = sha256_base64(*piece);
    auto put = client_.call({.method = "PUT", .key = key_, .headers = checksum_headers(checksum_), .body = *piece});
    if (!put) return std::unexpected(std::move(put.error()));
    tell(size_);
    return {};
  }

  Result<void> put_parts() {
    auto begun = client_.call({.method = "POST",
                               .key = key_,
                               .query = {{"uploads", ""}},
                               .headers = {{"x-amz-checksum-algorithm", "SHA256"}}});
    if (!begun) return std::unexpected(std::move(begun.error()));
    const auto upload = element_text(begun->body, "UploadId");
    if (upload.empty()) return fail(ErrorCode::kStoreUnavailable, "the S3 server began no upload");
    auto done = put_each_part(upload);
    if (done) return done;
    // What was put so far would be kept and paid for.
    if (const auto gone = client_.call({.method = "DELETE", .key = key_, .query = {{"uploadId", upload}}}); !gone)
      done.error().detail += "; the parts put so far are still there: " + gone.error().detail;
    return done;
  }

  Result<void> put_each_part(const std::string& upload) {
    std::string list = "<CompleteMultipartUpload>", hashes;
    std::int64_t number = 0;
    for (std::int64_t at = 0; at < size_; at += kPartBytes) {
      auto piece = read(at);
      if (!piece) return std::unexpected(std::move(piece.error()));
      const auto hash = sha256_bytes(*piece), checksum = base64(hash), part = std::to_string(++number);
      auto put = client_.call({.method = "PUT",
                               .key = key_,
                               .query = {{"partNumber", part}, {"uploadId", upload}},
                               .headers = checksum_headers(checksum),
                               .body = *piece});
      if (!put) return std::unexpected(std::move(put.error()));
      hashes += hash;
      list += "<Part><PartNumber>" + part + "</PartNumber><ETag>" + header(*put, "etag") + "</ETag><ChecksumSHA256>" +
              checksum + "</ChecksumSHA256></Part>";
      tell(at + static_cast<std::int64_t>(piece->size()));
    }
    list += "</CompleteMultipartUpload>";
    // S3's own form of a checksum over parts.
    checksum_ = sha256_base64(hashes) + "-" + std::to_string(number);
    auto ended = client_.call({.method = "POST", .key = key_, .query = {{"uploadId", upload}}, .body = list});
    if (!ended) return std::unexpected(std::move(ended.error()));
    // It may answer 200 and say in the body that it failed.
    if (const auto code = element_text(ended->body, "Code"); !code.empty())
      return fail(ErrorCode::kStoreUnavailable, "the S3 server did not put the parts together: " + code);
    return {};
  }

  /// Whether it had to be read back.
  Result<bool> check() {
    auto head = client_.call({.method = "HEAD", .key = key_, .headers = {{"x-amz-checksum-mode", "ENABLED"}}});
    if (!head) return std::unexpected(std::move(head.error()));
    if (header(*head, "content-length") != std::to_string(size_)) return differs("it has another size");
    const auto stated = header(*head, kChecksum);
    if (!stated.empty()) {
      // Some state the hash of the whole also for an object that came in parts.
      if (stated == checksum_) return false;
      if (stated.contains('-')) return differs("its checksum is another");
    }
    return read_back();
  }

  Result<bool> read_back() {
    std::int64_t at = 0;
    bool same = true;
    const auto begin = [&] {  // of each try
      at = 0;
      same = true;
    };
    auto got = client_.call({.method = "GET", .key = key_, .begin = begin, .take = [&](std::string_view bytes) {
                               std::string own(bytes.size(), '\0');
                               in_.clear();
                               in_.seekg(at);
                               in_.read(own.data(), static_cast<std::streamsize>(own.size()));
                               same = same && own == bytes;
                               at += static_cast<std::int64_t>(bytes.size());
                               if (progress_) progress_("reading back", at, size_);
                             }});
    if (!got) return std::unexpected(std::move(got.error()));
    if (!same || at != size_) return differs("its content is another");
    return true;
  }

  std::unexpected<Error> differs(const std::string& why) const {
    return fail(ErrorCode::kValidationFailed, "the copy " + key_ + " is not the file: " + why);
  }

  const std::filesystem::path file_;
  const S3Progress& progress_;
  S3Client client_;
  const std::string key_;
  std::ifstream in_;
  std::int64_t size_ = 0;
  std::string checksum_;
};

bool is_bucket(std::string_view text) {
  constexpr std::size_t kLeast = 3, kMost = 63;
  return text.size() >= kLeast && text.size() <= kMost && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

}  // namespace

Result<S3Target> parse_s3(std::string_view url) {
  constexpr std::string_view kScheme = "s3://";
  if (!url.starts_with(kScheme)) return fail(ErrorCode::kValidationFailed, "must be s3://BUCKET or s3://BUCKET/PREFIX");
  url.remove_prefix(kScheme.size());
  const auto slash = std::min(url.find('/'), url.size());
  S3Target out;
  out.bucket = url.substr(0, slash);
  out.prefix = url.substr(std::min(slash + 1, url.size()));
  while (out.prefix.ends_with('/')) out.prefix.pop_back();
  if (!is_bucket(out.bucket)) return fail(ErrorCode::kValidationFailed, "'" + out.bucket + "' is no name of a bucket");
  return out;
}

Result<S3Copied> copy_to_s3(const std::filesystem::path& file, const S3Target& target, const S3Credentials& credentials,
                            const S3Progress& progress) {
  return Copy(file, target, credentials, progress).run();
}

}  // namespace detection::app
