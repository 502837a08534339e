#include "app/sigv4.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace detection::app {
namespace {

constexpr std::string_view kService = "s3", kAlgorithm = "AWS4-HMAC-SHA256";

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, 32> out;
  unsigned size = 0;
  const auto* const data = reinterpret_cast<const unsigned char*>(text.data());
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data, text.size(), out.data(), &size) == nullptr ||
      size != out.size())
    std::abort();  // no OpenSSL without HMAC and SHA-256
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

/// "20261126T020000Z".
std::string amz_date(UtcMicros now) {
  auto text = format_rfc3339_ms(now);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text.substr(0, 15) + "Z";
}

}  // namespace

std::string percent_encoded(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

std::string query_text(const std::map<std::string, std::string>& query) {
  std::string out;
  for (const auto& [name, value] : query)
    out.append(out.empty() ? "" : "&")
        .append(percent_encoded(name, false))
        .append("=")
        .append(percent_encoded(value, false));
  return out;
}

std::string sha256_bytes(std::string_view bytes) {
  std::array<unsigned char, 32> out;
  if (EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr) != 1) std::abort();
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

std::string sha256_hex(std::string_view bytes) {
  return hex(sha256_bytes(bytes));
}

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const auto size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string sha256_base64(std::string_view bytes) {
  return base64(sha256_bytes(bytes));
}

std::vector<std::pair<std::string, std::string>> signed_headers(const S3Request& request,
                                                                const S3Credentials& credentials,
                                                                std::string_view region, UtcMicros now) {
  const auto time = amz_date(now), day = time.substr(0, 8);
  auto headers = request.headers;
  headers["host"] = request.host;
  headers["x-amz-date"] = time;
  headers["x-amz-content-sha256"] = request.payload_sha256;
  if (!credentials.session_token.empty()) headers["x-amz-security-token"] = credentials.session_token;

  std::string names, lines;
  for (const auto& [name, value] : headers) {
    names.append(names.empty() ? "" : ";").append(name);
    lines.append(name).append(":").append(value).append("\n");
  }
  const auto canonical = request.method + "\n" + request.path + "\n" + query_text(request.query) + "\n" + lines + "\n" +
                         names + "\n" + request.payload_sha256;
  const auto scope = day + "/" + std::string(region) + "/" + std::string(kService) + "/aws4_request";
  const auto to_sign = std::string(kAlgorithm) + "\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
  auto key = hmac("AWS4" + credentials.secret_access_key, day);
  for (const auto part : {region, kService, std::string_view("aws4_request")}) key = hmac(key, part);
  headers["authorization"] = std::string(kAlgorithm) + " Credential=" + credentials.access_key_id + "/" + scope +
                             ", SignedHeaders=" + names + ", Signature=" + hex(hmac(key, to_sign));
  return {headers.begin(), headers.end()};
}

}  // namespace detection::app
