#pragma once
// Certificate enrolment as TAK Server offers it on port 8446: what is sent and what the answers mean. HTTP is the
// caller's. The private key is made here and never leaves the client.
//
//   GET  /Marti/api/tls/config                -> XML certificateConfig: the names that the request must carry
//   POST /Marti/api/tls/signClient/v2?...     -> JSON {"signedCert", "ca0", ...} or XML <enrollment>
//   POST /Marti/api/tls/signClient?...        -> PKCS#12 of certificates only (servers without v2)

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "tak/credentials_folder.hpp"

namespace detection::tak {

/// "https://HOST:8446" or the deep link "tak://com.atakmap.app/enroll?host=&username=&token=".
struct EnrolmentAddress {
  std::string host;                            ///< without brackets
  std::uint16_t port = 8446;                   ///< where none is given
  std::string username, token;                 ///< of a deep link; the token is a secret and stands for the password
  [[nodiscard]] std::string base_url() const;  ///< "https://host:8446"
};
[[nodiscard]] Result<EnrolmentAddress> parse_enrolment_address(std::string_view text);

/// One part of the subject's name, such as O = "TAK".
struct NameEntry {
  std::string name, value;
  friend bool operator==(const NameEntry&, const NameEntry&) = default;
};

/// Of a certificateConfig, whatever its namespace, in its order; CN is left out. Bounded: 64 KiB, 32 entries.
[[nodiscard]] Result<std::vector<NameEntry>> parse_certificate_config(std::string_view xml);

struct SigningRequest {
  std::string key_pem;      ///< PKCS#8, RSA of 2048 bits, which every TAK server signs. A secret
  std::string request_pem;  ///< the label is CERTIFICATE REQUEST
};
/// kConfiguration for a name that X.509 does not know or a value that it cannot hold.
[[nodiscard]] Result<SigningRequest> make_signing_request(const std::string& username,
                                                          const std::vector<NameEntry>& entries);

/// The answer to a signing request, by its contents (servers state wrong content types): JSON, XML or PKCS#12. Checked:
/// the certificate is for our key and has not expired. The files are tls.crt (with the issuers that are no roots),
/// tls.key and ca.crt.
struct EnrolledCredentials {
  CredentialFiles files;
  std::string subject, issuer;
  UtcMicros expires{};
};
[[nodiscard]] Result<EnrolledCredentials> read_enrolment_answer(std::string_view body, const SigningRequest& request,
                                                                UtcMicros now);

inline constexpr std::chrono::hours kRenewBefore{7 * 24};

/// A certificate is to be renewed from `before` its expiry on.
[[nodiscard]] constexpr bool renewal_due(UtcMicros expiry, UtcMicros now,
                                         std::chrono::microseconds before = kRenewBefore) noexcept {
  return expiry.count - now.count <= before.count();
}

}  // namespace detection::tak
