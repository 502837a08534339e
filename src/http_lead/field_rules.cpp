#include "http/field_rules.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "detection/json_writer.hpp"

namespace detection::http {
namespace {

constexpr int base64_value(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

struct DigestRelease {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

}  // namespace

std::string number_text(double value) {
  std::string text;
  json::append_number(text, value);
  return text;
}

std::optional<std::string> check_name(std::string_view text, std::size_t most, std::string_view others) {
  bool good = !text.empty() && text.size() <= most;
  for (const char c : text)
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    others.find(c) != std::string_view::npos);
  if (good) return std::nullopt;
  return "must be 1 to " + std::to_string(most) + " characters of A-Z a-z 0-9 " + std::string(others);
}

std::expected<Sha256, std::string> hash_of_base64(std::string_view text, std::size_t bytes_most) {
  if (text.empty() || text.size() % 4 != 0) return std::unexpected("must be base64 with its padding");
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (text.size() / 4 * 3 - padding > bytes_most)
    return std::unexpected("must hold at most " + std::to_string(bytes_most) + " bytes");
  const std::unique_ptr<EVP_MD_CTX, DigestRelease> digest(EVP_MD_CTX_new());
  EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
  std::array<unsigned char, 3072> chunk{};
  std::size_t filled = 0;
  const auto quads = text.substr(0, text.size() - (padding > 0 ? 4 : 0));
  const auto take = [&](std::string_view quad, std::size_t bytes) {
    std::uint32_t bits = 0;
    for (const char c : quad) {
      const int value = base64_value(c);
      if (value < 0) return false;
      bits = bits << 6 | static_cast<std::uint32_t>(value);
    }
    bits <<= 6 * (4 - quad.size());
    // The bits behind the last byte must be zero: one text for one content.
    if (bytes < 3 && (bits & (0xffffffU >> (8 * bytes))) != 0) return false;
    for (std::size_t i = 0; i < bytes; ++i) chunk[filled++] = static_cast<unsigned char>(bits >> (16 - 8 * i));
    if (filled + 3 > chunk.size()) {
      EVP_DigestUpdate(digest.get(), chunk.data(), filled);
      filled = 0;
    }
    return true;
  };
  for (std::size_t at = 0; at < quads.size(); at += 4)
    if (!take(quads.substr(at, 4), 3)) return std::unexpected("must be base64: a character does not belong there");
  if (padding > 0 && !take(text.substr(quads.size(), 4 - padding), 3 - padding))
    return std::unexpected("must be base64: its last group is wrong");
  EVP_DigestUpdate(digest.get(), chunk.data(), filled);
  Sha256 hash{};
  EVP_DigestFinal_ex(digest.get(), hash.data(), nullptr);
  return hash;
}

}  // namespace detection::http
