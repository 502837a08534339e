#include "tak/credentials.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <system_error>

#include "tak/certificate.hpp"
#include "tak/sink.hpp"

namespace detection::tak {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMost = 1u << 20;
constexpr std::size_t kPkcs12FilesMost = 16;
constexpr std::string_view kHabitualPassword = "atakatak";
constexpr std::array<std::string_view, 8> kNames{"username", "password", "endpoint",         "tls.crt",
                                                 "tls.key",  "ca.crt",   "tls.key.password", "p12.password"};

std::unexpected<Error> wrong(std::string why) {
  return fail(ErrorCode::kConfiguration, std::move(why));
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

/// The names in the folder that matter, sorted.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names(kNames.begin(), kNames.end());
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    const bool pkcs12 = !name.starts_with('.') && (name.ends_with(".p12") || name.ends_with(".pfx"));
    if (pkcs12 && names.size() < kNames.size() + kPkcs12FilesMost) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::string mark_of(const fs::path& folder) {
  std::string mark;
  for (const auto& name : names_in(folder)) {
    struct stat status{};
    if (::stat((folder / name).c_str(), &status) != 0) continue;
    for (const std::int64_t number :
         {static_cast<std::int64_t>(status.st_dev), static_cast<std::int64_t>(status.st_ino),
          static_cast<std::int64_t>(status.st_size), static_cast<std::int64_t>(status.st_mtim.tv_sec),
          static_cast<std::int64_t>(status.st_mtim.tv_nsec), static_cast<std::int64_t>(status.st_ctim.tv_sec),
          static_cast<std::int64_t>(status.st_ctim.tv_nsec)})
      mark += std::to_string(number) + ",";
    mark += name + ";";
  }
  return mark;
}

/// Empty for a file that is not there, or holds only space.
Result<std::string> read_file(const fs::path& path) {
  // Not blocking: a pipe that somebody put there must not hold up the service.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0 && errno == ENOENT) return std::string();
  if (descriptor < 0) return wrong(path.string() + " cannot be read: " + reason_of(errno));
  std::string bytes(kFileBytesMost + 1, '\0');
  std::size_t filled = 0;
  int error = 0;
  while (filled < bytes.size()) {
    const auto count = ::read(descriptor, bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) error = errno;
    if (count <= 0) break;
    filled += static_cast<std::size_t>(count);
  }
  ::close(descriptor);
  if (error != 0) return wrong(path.string() + " cannot be read: " + reason_of(error));
  if (filled > kFileBytesMost) return wrong(path.string() + " is larger than 1 MiB");
  OPENSSL_cleanse(bytes.data() + filled, bytes.size() - filled);
  bytes.resize(filled);
  if (bytes.find_first_not_of(" \t\r\n") == std::string::npos) bytes.clear();
  return bytes;
}

/// Of a file that holds one word or line: without the line end that editors add.
std::string line_of(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

using Files = std::map<std::string, std::string>;

/// All files as they were at one moment.
Result<Files> read_files(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return wrong(folder.string() + " is no folder that can be read" + (error ? ": " + error.message() : ""));
  Error last;
  for (int tries = 0; tries < 5; ++tries) {
    const auto before = mark_of(folder);
    Files files;
    bool good = true;
    for (const auto& name : names_in(folder)) {
      auto text = read_file(folder / name);
      if (!text) {
        last = text.error();
        good = false;
        break;
      }
      if (!text->empty()) files.emplace(name, std::move(*text));
    }
    if (mark_of(folder) != before) continue;
    if (!good) return std::unexpected(last);
    return files;
  }
  return wrong(folder.string() + " is being changed all the time");
}

class Reader {
 public:
  Reader(const fs::path& folder, Files files, UtcMicros now) : folder_(folder), files_(std::move(files)), now_(now) {}
  ~Reader() {
    for (auto& [name, text] : files_) OPENSSL_cleanse(text.data(), text.size());
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<CredentialsPointer> read() {
    out_->folder = folder_.string();
    fingerprint();
    out_->username = line_of(files_["username"]);
    out_->password = line_of(files_["password"]);
    if (!out_->username.empty() && out_->password.empty())
      warn(path("username") + " is there, but no password beside it");
    if (out_->username.empty() && !out_->password.empty())
      warn(path("password") + " is there, but no username beside it: it is not used");
    if (auto done = certificate(); !done) return std::unexpected(done.error());
    if (auto done = pkcs12(); !done) return std::unexpected(done.error());
    if (auto done = authorities(); !done) return std::unexpected(done.error());
    judge_certificate();
    if (const auto text = line_of(files_["endpoint"]); !text.empty()) {
      auto url = endpoint_url(text, leaf_ != nullptr || !out_->authorities_pem.empty());
      if (!url) return wrong(path("endpoint") + ": " + url.error().detail);
      out_->endpoint = std::move(*url);
    }
    if (out_->username.empty() && !leaf_ && out_->authorities_pem.empty() && out_->endpoint.empty())
      warn(folder_.string() + " holds none of username, endpoint, tls.crt, ca.crt and *.p12");
    return CredentialsPointer(std::move(out_));
  }

 private:
  [[nodiscard]] std::string path(std::string_view name) const { return (folder_ / name).string(); }
  void warn(std::string text) { out_->warnings.push_back(std::move(text)); }

  /// Passwords are hashed with the rest, so that a changed one is noticed; a hash over certificates and keys together
  /// tells nothing, one over a lone password could be guessed at, and so it is salted for this process.
  void fingerprint() {
    static const std::string salt = [] {
      std::array<unsigned char, 16> bytes{};
      if (::getentropy(bytes.data(), bytes.size()) != 0) bytes = {};
      return std::string(bytes.begin(), bytes.end());
    }();
    std::string all = salt;
    for (const auto& [name, text] : files_) all += name + ":" + std::to_string(text.size()) + ":" + text;
    out_->fingerprint = sha256_hex(all);
    OPENSSL_cleanse(all.data(), all.size());
  }

  Result<void> certificate() {
    const auto& crt = files_["tls.crt"];
    const auto& key = files_["tls.key"];
    if (crt.empty() && key.empty()) return {};
    if (crt.empty()) return wrong(path("tls.crt") + " is missing: " + path("tls.key") + " is of no use without it");
    if (key.empty()) return wrong(path("tls.key") + " is missing: it holds the private key of " + path("tls.crt"));
    auto chain = read_certificates(crt, path("tls.crt"));
    if (!chain) return std::unexpected(chain.error());
    auto private_key = read_private_key(key, line_of(files_["tls.key.password"]), path("tls.key"), "tls.key.password");
    if (!private_key) return std::unexpected(private_key.error());
    for (std::size_t i = 0; i < chain->size(); ++i) {
      const bool matches = X509_check_private_key((*chain)[i].get(), private_key->get()) == 1;
      if (matches && i == 0) {
        leaf_ = std::move(chain->front());
        chain_.assign(std::make_move_iterator(chain->begin() + 1), std::make_move_iterator(chain->end()));
        key_ = std::move(*private_key);
        leaf_from_ = "tls.crt";
        (void)openssl_reason();
        return {};
      }
      if (matches)
        return wrong(path("tls.key") + " is the key of certificate " + std::to_string(i + 1) + " in " +
                     path("tls.crt") + ": the client's own certificate must come first, its chain behind it");
    }
    (void)openssl_reason();
    return wrong(path("tls.key") + " is not the key of the certificate in " + path("tls.crt") + " (" +
                 subject_of(chain->front().get()) + "): they are not from the same enrolment");
  }

  Result<void> pkcs12() {
    std::string password = line_of(files_["p12.password"]);
    const bool habitual = password.empty();
    if (habitual) password = kHabitualPassword;
    for (const auto& [name, bytes] : files_) {
      if (!name.ends_with(".p12") && !name.ends_with(".pfx")) continue;
      auto content = read_pkcs12(bytes, password, path(name));
      if (!content && content.error().detail.ends_with("password given for it"))
        return wrong(path(name) + (habitual
                                       ? " does not open with the habitual password atakatak: put its own into the "
                                         "file p12.password beside it"
                                       : " does not open with the password in p12.password"));
      if (!content) return std::unexpected(content.error());
      if (!content->key) {
        for (auto& one : only_authorities(std::move(content->others))) authorities_.push_back(std::move(one));
        if (out_->authorities_from.empty()) out_->authorities_from = path(name);
        continue;
      }
      if (!content->leaf) return wrong(path(name) + " holds a private key without its certificate");
      if (leaf_from_ == "tls.crt") {
        warn(path(name) + " is not used: the client certificate is that of tls.crt");
        continue;
      }
      if (leaf_) return wrong(path(name) + " and " + path(leaf_from_) + " both hold a client certificate: keep one");
      leaf_ = std::move(content->leaf);
      key_ = std::move(content->key);
      chain_ = std::move(content->others);
      leaf_from_ = name;
    }
    return {};
  }

  Result<void> authorities() {
    if (const auto& text = files_["ca.crt"]; !text.empty()) {
      auto read = read_certificates(text, path("ca.crt"));
      if (!read) return std::unexpected(read.error());
      authorities_ = std::move(*read);
      out_->authorities_from = path("ca.crt");
    }
    out_->authorities_pem = pem_of(authorities_);
    if (!authorities_.empty() || leaf_from_.empty() || leaf_from_ == "tls.crt") return {};
    // A client's PKCS#12 often brings the authority of its site along, and no other file does.
    for (const auto& one : chain_)
      if (self_signed(one.get())) out_->authorities_pem += pem_of(one.get());
    if (!out_->authorities_pem.empty()) out_->authorities_from = path(leaf_from_);
    return {};
  }

  void judge_certificate() {
    if (!leaf_) return;
    out_->certificate_pem = pem_of(leaf_.get()) + pem_of(chain_);
    out_->key_pem = pem_of(key_.get());
    out_->certificate_subject = subject_of(leaf_.get());
    out_->certificate_issuer = issuer_of(leaf_.get());
    out_->certificate_expires = expires_at(leaf_.get());
    const auto name = "the client certificate in " + path(leaf_from_) + " (" + out_->certificate_subject + ")";
    if (*out_->certificate_expires <= now_)
      warn(name + " expired " + span_text(now_ - *out_->certificate_expires) + " ago, at " +
           format_rfc3339_ms(*out_->certificate_expires) + ": enrol again (detection-api tak enroll)");
    else if (starts_at(leaf_.get()) > now_)
      warn(name + " is not yet valid, only in " + span_text(starts_at(leaf_.get()) - now_) +
           ": is the clock of this machine right?");
    const auto issues = [this](const Owned<X509>& one) {
      return X509_check_issued(one.get(), leaf_.get()) == X509_V_OK;
    };
    if (!self_signed(leaf_.get()) && std::ranges::none_of(chain_, issues) && std::ranges::none_of(authorities_, issues))
      warn(name + " comes without its chain: the certificate of its issuer " + out_->certificate_issuer +
           " is neither behind it nor in ca.crt. A server that does not know that issuer itself refuses it: append the "
           "issuer's certificate to " +
           path("tls.crt"));
    (void)openssl_reason();
  }

  fs::path folder_;
  Files files_;
  UtcMicros now_;
  std::shared_ptr<Credentials> out_ = std::make_shared<Credentials>();
  Owned<X509> leaf_;
  Owned<EVP_PKEY> key_;
  Certificates chain_, authorities_;
  std::string leaf_from_;
};

}  // namespace

Credentials::~Credentials() {
  for (auto* secret : {&password, &key_pem}) OPENSSL_cleanse(secret->data(), secret->size());
}

Result<CredentialsPointer> load_credentials(const fs::path& folder, UtcMicros now) {
  auto files = read_files(folder);
  if (!files) return std::unexpected(files.error());
  return Reader(folder, std::move(*files), now).read();
}

Result<std::string> endpoint_url(std::string_view text, bool tls) {
  std::string url(text);
  if (text.find("://") == std::string_view::npos) {
    std::string scheme = tls ? "tls" : "tcp";
    for (const std::string_view named : {"ssl", "tls", "tcp", "udp"}) {
      const auto ending = ":" + std::string(named);
      if (!url.ends_with(ending) || url.find(':') == url.size() - ending.size()) continue;
      scheme = named == "ssl" ? "tls" : named;
      url.resize(url.size() - ending.size());
      break;
    }
    url = scheme + "://" + url;
  }
  const auto address = parse_sink_address(std::string_view(url).substr(0, url.find('?')));
  if (!address) return std::unexpected(address.error());
  return url;
}

CredentialsWatch::CredentialsWatch(fs::path folder) : folder_(std::move(folder)), mark_(mark_of(folder_)) {}

bool CredentialsWatch::changed() {
  auto mark = mark_of(folder_);
  if (mark == mark_) return false;
  mark_ = std::move(mark);
  return true;
}

}  // namespace detection::tak
