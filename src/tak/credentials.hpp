#pragma once
// The credentials of TAK servers: a folder, as the Kubernetes secret `tak-server-credentials` is mounted. All files are
// optional, an empty one counts as absent:
//   username, password   sent as `<auth>`                 endpoint       host:port or a URL: the sink where none is
//   given tls.crt, tls.key     client certificate and key (PEM; the key PKCS#1 or PKCS#8, its passphrase in
//   tls.key.password) ca.crt               the authorities that servers are checked against (PEM)
//   *.p12, *.pfx         the same as PKCS#12: with a key the client certificate, without one the authorities; password
//                        in p12.password, else the habitual "atakatak"
// tls.crt goes before a PKCS#12 file, ca.crt before the authorities of one.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"

namespace detection::tak {

struct Credentials;
/// Immutable; may be shared by threads.
using CredentialsPointer = std::shared_ptr<const Credentials>;

struct Credentials {
  Credentials() = default;
  ~Credentials();  ///< wipes the secrets
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  std::string folder;
  std::string username, password;
  std::string endpoint;          ///< a URL with its scheme; settings may follow behind '?'; empty: none
  std::string certificate_pem;   ///< the client's, then its chain; empty: none
  std::string key_pem;           ///< PKCS#8, not encrypted. A secret
  std::string authorities_pem;   ///< empty: none, the system's
  std::string authorities_from;  ///< the file they are from, for messages
  std::string certificate_subject, certificate_issuer;  ///< "CN=name,O=organisation"
  std::optional<UtcMicros> certificate_expires{};
  std::vector<std::string> warnings;  ///< what will probably not work, in words, with what to do
  std::string fingerprint;            ///< hex; in one process equal exactly when all contents are. Tells no secret
};

/// Reads the folder, again when its contents are swapped meanwhile. kConfiguration: the error names the file and says
/// what to do. A certificate that has expired at `now` is a warning: some servers take it, and the others say so.
[[nodiscard]] Result<CredentialsPointer> load_credentials(const std::filesystem::path& folder, UtcMicros now);

/// "h:8089", "h:8089:ssl" (as TAK writes it) or a URL, as a URL. Without a scheme: tls:// when `tls`, else tcp://.
[[nodiscard]] Result<std::string> endpoint_url(std::string_view text, bool tls);

/// Notices that the files are others now or were written to, through swapped links too, by their marks alone: about a
/// dozen stat() calls. Make it before the first load, so that nothing is missed. One thread.
class CredentialsWatch {
 public:
  explicit CredentialsWatch(std::filesystem::path folder);
  /// True once for each change since the last call (several may be one). A load that failed may be tried again only
  /// then: half-written files are seen when they are whole.
  [[nodiscard]] bool changed();

 private:
  std::filesystem::path folder_;
  std::string mark_;
};

}  // namespace detection::tak
