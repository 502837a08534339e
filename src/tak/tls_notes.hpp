#pragma once
// What is expected of a server, and what was seen of a connection to it (private to this room: shows OpenSSL).

#include <memory>
#include <optional>
#include <string>

#include "tak/certificate.hpp"
#include "tak/tls_context.hpp"

namespace detection::tak {

struct TlsExpectation {
  std::string name;  ///< DNS name or address
  bool name_is_address = false;
  bool name_was_given = false;  ///< as expected_name
  std::string pin;              ///< lower-case hex, or empty
  // for messages
  std::string authorities;  ///< "/etc/x/ca.crt (CN=Our CA)" or "the authorities of this system"
  bool has_authorities = false;
  std::string our_subject, our_issuer;  ///< of our certificate; empty: none
  std::optional<UtcMicros> our_expiry{};
  std::string folder;  ///< of the credentials; empty: none
};

struct TlsNotes {
  std::shared_ptr<const TlsExpectation> expected;
  std::optional<ServerCertificate> server{};
  int verify_error = X509_V_OK;
  std::string failed_subject, failed_issuer;  ///< of the certificate that the error is about
  UtcMicros failed_starts{}, failed_expires{};
  bool failed_is_leaf = true;
  int alert = -1;  ///< of the server
  bool asked_for_certificate = false;
  std::string accepted_issuers;     ///< that the server named when it asked
  bool bytes_seen = false;          ///< anything came from the server
  bool first_record_is_tls = true;  ///< as far as its five bytes tell
  bool finished = false;            ///< the handshake, on our side
};

[[nodiscard]] std::string explain_tls(const TlsNotes& notes, unsigned long openssl_error);

}  // namespace detection::tak
