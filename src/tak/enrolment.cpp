#include "tak/enrolment.hpp"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "cot/elements.hpp"
#include "tak/certificate.hpp"

namespace detection::tak {
namespace {

constexpr std::size_t kAnswerBytesMost = 1u << 20;
constexpr std::size_t kEntriesMost = 32;
constexpr std::size_t kAuthoritiesMost = 16;
constexpr std::string_view kWhat = "the server's answer";

std::unexpected<Error> wrong(std::string why) {
  return fail(ErrorCode::kConfiguration, std::move(why));
}

struct ReleaseJson {
  void operator()(json_t* it) const noexcept { json_decref(it); }
};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// RFC 3986; nothing for a '%' without two hex digits or a NUL.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

/// "host", "host:port", "[v6]:port".
Result<void> read_authority(std::string_view text, EnrolmentAddress& out) {
  constexpr std::string_view kHelp = "the enrolment address is https://HOST:8446";
  std::string_view port;
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) return wrong(std::string(kHelp) + ": ']' is missing");
    out.host = text.substr(1, bracket - 1);
    port = text.substr(bracket + 1);
    if (!port.empty() && port.front() != ':') return wrong(std::string(kHelp) + ": after ']' comes ':' and the port");
  } else {
    const auto colon = text.find(':');
    out.host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == ':';
  };
  if (out.host.empty() || out.host.size() > 253 || !std::ranges::all_of(out.host, good))
    return wrong(std::string(kHelp) + ": that host is no host name or address");
  if (port.empty()) return {};
  port.remove_prefix(1);
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (code != std::errc{} || end != port.data() + port.size() || out.port == 0)
    return wrong(std::string(kHelp) + ": the port is from 1 to 65535");
  return {};
}

Result<EnrolmentAddress> read_deep_link(std::string_view query) {
  EnrolmentAddress out;
  std::string host;
  while (!query.empty()) {
    const auto part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    const auto equals = part.find('=');
    const auto value = percent_decoded(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1));
    if (!value) return wrong("the link holds a '%' that is no character");
    const auto name = part.substr(0, equals);
    if (name == "host") host = *value;
    if (name == "username") out.username = *value;
    if (name == "token" || name == "password") out.token = *value;
  }
  if (host.empty()) return wrong("the link tak://com.atakmap.app/enroll?host=...&username=...&token=... has no host");
  if (auto done = read_authority(host, out); !done) return std::unexpected(done.error());
  return out;
}

/// A certificate in PEM or in bare base64, as servers send it.
Result<Certificates> read_loose_pem(const std::string& text) {
  if (text.find("-----BEGIN") != std::string::npos) return read_certificates(text, kWhat);
  std::string body;
  for (const char c : text)
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') body.push_back(c);
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t at = 0; at < body.size(); at += 64) pem += body.substr(at, 64) + "\n";
  return read_certificates(pem + "-----END CERTIFICATE-----\n", kWhat);
}

/// The signed certificate first.
Result<Certificates> read_texts(const std::string& signed_text, const std::vector<std::string>& authorities) {
  auto all = read_loose_pem(signed_text);
  if (!all) return all;
  for (const auto& text : authorities) {
    auto more = read_loose_pem(text);
    if (!more) return more;
    for (auto& one : *more) all->push_back(std::move(one));
  }
  return all;
}

Result<Certificates> read_json(std::string_view body) {
  json_error_t error{};
  const std::unique_ptr<json_t, ReleaseJson> root(json_loadb(body.data(), body.size(), JSON_REJECT_DUPLICATES, &error));
  if (!json_is_object(root.get())) return wrong("the server's answer is no JSON object");
  const char* certificate = json_string_value(json_object_get(root.get(), "signedCert"));
  if (certificate == nullptr) return wrong("the server's answer has no signedCert");
  std::vector<std::string> authorities;
  for (std::size_t i = 0; i < kAuthoritiesMost; ++i) {
    const char* text = json_string_value(json_object_get(root.get(), ("ca" + std::to_string(i)).c_str()));
    if (text == nullptr) break;
    authorities.emplace_back(text);
  }
  return read_texts(certificate, authorities);
}

Result<Certificates> read_xml(std::string_view body) {
  const auto elements = cot::read_elements(body, {.bytes = kAnswerBytesMost});
  if (!elements) return wrong("the server's answer is unreadable: " + elements.error().detail);
  std::string certificate;
  std::vector<std::string> authorities;
  for (const auto& element : *elements) {
    if (element.name == "signedCert") certificate = element.text;
    if (element.name == "ca" && authorities.size() < kAuthoritiesMost) authorities.push_back(element.text);
  }
  if (certificate.empty()) return wrong("the server's answer has no signedCert");
  return read_texts(certificate, authorities);
}

Result<Certificates> read_answer(std::string_view body) {
  if (body.size() > kAnswerBytesMost) return wrong("the server's answer is larger than 1 MiB");
  if (body.starts_with('\x30')) {
    auto content = read_pkcs12(body, "atakatak", kWhat);
    if (!content) return std::unexpected(content.error());
    if (content->leaf) content->others.insert(content->others.begin(), std::move(content->leaf));
    return std::move(content->others);
  }
  const auto start = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  const char first = start == std::string_view::npos ? '\0' : body[start];
  if (first == '{') return read_json(body);
  if (first == '<') return read_xml(body);
  return wrong("the server's answer is neither JSON, XML nor PKCS#12");
}

void add_entry(X509_NAME* subject, const std::string& name, const std::string& value, bool& good) {
  good = good && X509_NAME_add_entry_by_txt(subject, name.c_str(), MBSTRING_UTF8,
                                            reinterpret_cast<const unsigned char*>(value.data()),
                                            static_cast<int>(value.size()), -1, 0) == 1;
}

}  // namespace

std::string EnrolmentAddress::base_url() const {
  const bool v6 = host.find(':') != std::string::npos;
  return "https://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<EnrolmentAddress> parse_enrolment_address(std::string_view text) {
  if (text.starts_with("tak://")) {
    const auto query = text.find('?');
    const auto path = text.substr(6, query == std::string_view::npos ? std::string_view::npos : query - 6);
    if (path != "com.atakmap.app/enroll")
      return wrong("the link is tak://com.atakmap.app/enroll?host=HOST&username=NAME&token=TOKEN");
    return read_deep_link(query == std::string_view::npos ? std::string_view{} : text.substr(query + 1));
  }
  if (!text.starts_with("https://"))
    return wrong("the enrolment address is https://HOST:8446, or a link tak://com.atakmap.app/enroll?...");
  text.remove_prefix(8);
  if (text.find('@') != std::string_view::npos) return wrong("user and password do not belong in the address");
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of("/?#") != std::string_view::npos) return wrong("nothing may follow the port of the address");
  EnrolmentAddress out;
  if (auto done = read_authority(text, out); !done) return std::unexpected(done.error());
  return out;
}

Result<std::vector<NameEntry>> parse_certificate_config(std::string_view xml) {
  const auto elements = cot::read_elements(xml, {});
  if (!elements) return wrong("the server's certificateConfig is unreadable: " + elements.error().detail);
  if (elements->front().name != "certificateConfig")
    return wrong("the server's answer is <" + elements->front().name + ">, not a certificateConfig");
  std::vector<NameEntry> out;
  for (const auto& element : *elements) {
    // `entry` is the older name of it.
    if (element.name != "nameEntry" && element.name != "entry") continue;
    const auto name = element.attributes.find("name");
    const auto value = element.attributes.find("value");
    if (name == element.attributes.end() || value == element.attributes.end() || name->second == "CN") continue;
    if (out.size() == kEntriesMost) return wrong("the server's certificateConfig has more than 32 entries");
    out.push_back({name->second, value->second});
  }
  return out;
}

Result<SigningRequest> make_signing_request(const std::string& username, const std::vector<NameEntry>& entries) {
  ERR_clear_error();
  if (username.empty() || username.size() > 64) return wrong("the username has 1 to 64 bytes: it becomes the CN");
  const Owned<EVP_PKEY> key(EVP_RSA_gen(2'048));
  const Owned<X509_REQ> request(X509_REQ_new());
  if (!key || !request) return wrong("no key can be made: " + openssl_reason());
  auto* const subject = X509_REQ_get_subject_name(request.get());
  for (const auto& entry : entries) {
    bool good = true;
    add_entry(subject, entry.name, entry.value, good);
    if (!good)
      return wrong("the server wants the name '" + entry.name + "' = '" + entry.value +
                   "' in the certificate, which cannot be: " + openssl_reason());
  }
  bool good = true;
  add_entry(subject, "CN", username, good);
  if (!good) return wrong("the username cannot be the CN of a certificate: " + openssl_reason());
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 || X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0)
    return wrong("the request cannot be signed: " + openssl_reason());
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return SigningRequest{pem_of(key.get()), std::string(data, static_cast<std::size_t>(size))};
}

Result<EnrolledCredentials> read_enrolment_answer(std::string_view body, const SigningRequest& request, UtcMicros now) {
  auto all = read_answer(body);
  if (!all) return std::unexpected(all.error());
  const auto key = read_private_key(request.key_pem, {}, "our key", {});
  if (!key) return std::unexpected(key.error());
  const auto ours =
      std::ranges::find_if(*all, [&](const auto& one) { return X509_check_private_key(one.get(), key->get()) == 1; });
  (void)openssl_reason();
  if (ours == all->end()) return wrong("the server's answer holds no certificate for the key that we made");
  const auto* leaf = ours->get();
  if (expires_at(leaf) <= now) return wrong("the server gave a certificate that has expired: is a clock wrong?");

  EnrolledCredentials out;
  out.subject = subject_of(leaf);
  out.issuer = issuer_of(leaf);
  out.expires = expires_at(leaf);
  auto& chain = out.files["tls.crt"] = pem_of(leaf);
  auto& authorities = out.files["ca.crt"];
  for (const auto& one : *all) {
    if (one.get() == leaf) continue;
    authorities += pem_of(one.get());
    if (!self_signed(one.get())) chain += pem_of(one.get());
  }
  if (authorities.empty()) out.files.erase("ca.crt");  // an empty text would remove the one that is there
  out.files["tls.key"] = request.key_pem;
  return out;
}

}  // namespace detection::tak
