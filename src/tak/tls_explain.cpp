// What was wrong with a TLS connection, in words for the person who sets it up.

#include <openssl/err.h>

#include "tak/tls_notes.hpp"

namespace detection::tak {
namespace {

constexpr const char* kClockHint = "is the clock of this machine right?";

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "'" : ", '") + name + "'";
  return out;
}

std::string names_of(const ServerCertificate& server) {
  if (server.names.empty()) return server.has_san ? "no DNS name or address at all" : "no name at all";
  return server.has_san ? list(server.names) : "no SAN, and " + list(server.names) + " as its CN";
}

std::string pin_hint(const TlsNotes& notes) {
  if (!notes.server) return {};
  return "pin this certificate with pin_sha256=" + notes.server->sha256 +
         " after comparing it with what the administrator of the server says";
}

std::string unknown_authority(const TlsNotes& notes) {
  const auto& expected = *notes.expected;
  const std::string issuer = notes.server ? notes.server->issuer : notes.failed_issuer;
  const bool own = notes.server && notes.server->issuer == notes.server->subject;
  std::string text =
      own ? "the server's certificate signs itself (" + issuer + ") and is not among "
          : "the server's certificate is from an unknown authority: its issuer is " + issuer + ", which is not among ";
  text += expected.authorities;
  if (notes.verify_error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT)
    text += " (its chain ends at " + notes.failed_issuer + ", which nobody gave)";
  text += expected.has_authorities
              ? ". Put the certificate of the server's authority into ca.crt"
              : ". Put the certificate of the server's authority into ca.crt of the credentials folder"
                " (--tak-credentials)";
  return text + ", or " + pin_hint(notes);
}

std::string wrong_name(const TlsNotes& notes) {
  const auto& expected = *notes.expected;
  std::string text = "the server's certificate is for another name: it has " +
                     (notes.server ? names_of(*notes.server) : std::string("none")) + ", not '" + expected.name +
                     "' (" + (expected.name_was_given ? "from expected_name" : "the host of the address") + "). ";
  if (notes.server && !notes.server->names.empty())
    return text + "If it is the right server, set expected_name=" + notes.server->names.front() + ", or " +
           pin_hint(notes);
  return text + "If it is the right server, " + pin_hint(notes);
}

std::string verification(const TlsNotes& notes, UtcMicros now) {
  const std::string whose =
      notes.failed_is_leaf ? "the server's certificate" : "the authority's certificate " + notes.failed_subject;
  switch (notes.verify_error) {
    case X509_V_ERR_CERT_REJECTED:
      return "the server's certificate is not the pinned one: it has pin_sha256=" +
             (notes.server ? notes.server->sha256 : "") + " (" + (notes.server ? notes.server->subject : "") +
             "), expected is " + notes.expected->pin +
             ". If the server has a new certificate, compare it with what its administrator says, then change the pin";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " expired " + span_text(now - notes.failed_expires) + " ago, at " +
             format_rfc3339_ms(notes.failed_expires) + ": the server needs a new one (" + kClockHint + " It says " +
             format_rfc3339_ms(now) + ")";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not yet valid, only in " + span_text(notes.failed_starts - now) + ", from " +
             format_rfc3339_ms(notes.failed_starts) + ": " + kClockHint + " It says " + format_rfc3339_ms(now);
    case X509_V_ERR_HOSTNAME_MISMATCH: return wrong_name(notes);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return unknown_authority(notes);
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return whose + " is not signed by the authority that it names (" + notes.failed_issuer +
             "): another authority of the same name? Put the right one into ca.crt, or " + pin_hint(notes);
    case X509_V_ERR_INVALID_PURPOSE:
      return whose +
             " is not made for a server (its extended key usage lacks serverAuth): the server needs another one, "
             "or " +
             pin_hint(notes);
    default:
      return whose + " is refused: " + X509_verify_cert_error_string(notes.verify_error) +
             ". To take it all the same, " + pin_hint(notes);
  }
}

std::string our_certificate(const TlsExpectation& expected) {
  return "ours is " + expected.our_subject + " of the issuer " + expected.our_issuer;
}

/// Hints when the server does not want what we showed, or that we showed nothing.
std::string refused(const TlsNotes& notes, std::string_view alert, UtcMicros now) {
  const auto& expected = *notes.expected;
  std::string text;
  const std::string accepts =
      notes.accepted_issuers.empty() ? "" : "; it accepts those issued by " + notes.accepted_issuers;
  if (expected.our_subject.empty())
    return "the server demands a client certificate and we have none (alert " + std::string(alert) + ")" + accepts +
           ". Put tls.crt and tls.key, or a .p12 file, into the credentials folder (--tak-credentials; detection-api "
           "tak "
           "enroll or import makes one)";
  text = "the server refused our client certificate (alert " + std::string(alert) + "): " + our_certificate(expected);
  if (expected.our_expiry && *expected.our_expiry <= now)
    return text + ", and it expired " + span_text(now - *expected.our_expiry) + " ago: enrol again";
  return text + accepts +
         ". It may be of another authority, without its chain (append the issuer to tls.crt), revoked, or its user "
         "unknown to the server: enrol again, or ask the server's administrator";
}

std::string alert_text(const TlsNotes& notes, UtcMicros now) {
  const auto with = [](std::string text, const char* name) { return text + " (alert " + name + ")"; };
  switch (notes.alert) {
    case SSL_AD_CERTIFICATE_REQUIRED: return refused(notes, "certificate_required", now);
    case SSL_AD_BAD_CERTIFICATE: return refused(notes, "bad_certificate", now);
    case SSL_AD_UNSUPPORTED_CERTIFICATE: return refused(notes, "unsupported_certificate", now);
    case SSL_AD_CERTIFICATE_REVOKED: return refused(notes, "certificate_revoked", now);
    case SSL_AD_CERTIFICATE_EXPIRED: return refused(notes, "certificate_expired", now);
    case SSL_AD_CERTIFICATE_UNKNOWN: return refused(notes, "certificate_unknown", now);
    case SSL_AD_UNKNOWN_CA: return refused(notes, "unknown_ca", now);
    case SSL_AD_ACCESS_DENIED: return refused(notes, "access_denied", now);
    case SSL_AD_HANDSHAKE_FAILURE:
      if (notes.asked_for_certificate) return refused(notes, "handshake_failure", now);
      return with("the server and we have no cipher in common: it may speak only ciphers that are unsafe today",
                  "handshake_failure");
    case SSL_AD_PROTOCOL_VERSION:
      return with("the server speaks no TLS version that we do: it must offer TLS 1.2 or 1.3", "protocol_version");
    case SSL_AD_UNRECOGNIZED_NAME:
      return with("the server does not know the name '" + notes.expected->name + "': set expected_name",
                  "unrecognized_name");
    default: {
      const auto* words = SSL_alert_desc_string_long(notes.alert);
      return "the server ended TLS with the alert '" + std::string(words) + "' (" + std::to_string(notes.alert) + ")";
    }
  }
}

constexpr const char* kPlain =
    "the server does not speak TLS on this port: it is a port for plain text, use tcp:// with it, or the TLS port of "
    "the "
    "server (usually 8089)";

}  // namespace

std::string explain_tls(const TlsNotes& notes, unsigned long openssl_error) {
  const auto now = system_now();
  const int reason = openssl_error == 0 ? 0 : ERR_GET_REASON(openssl_error);
  if (notes.verify_error != X509_V_OK) return verification(notes, now);
  if (notes.alert >= 0) return alert_text(notes, now);
  if (!notes.first_record_is_tls ||
      (!notes.server && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
                         reason == SSL_R_PACKET_LENGTH_TOO_LONG)))
    return kPlain;
  if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW || reason == SSL_R_NO_PROTOCOLS_AVAILABLE)
    return "the server speaks no TLS version that we do: it must offer TLS 1.2 or 1.3";
  if (reason == SSL_R_EE_KEY_TOO_SMALL || reason == SSL_R_CA_KEY_TOO_SMALL || reason == SSL_R_CA_MD_TOO_WEAK ||
      reason == SSL_R_DH_KEY_TOO_SMALL)
    return std::string("the server's keys or signatures are too weak for today's rules (") +
           ERR_reason_error_string(openssl_error) + "): it needs a new certificate";
  if (!notes.bytes_seen)
    return "the server closed the connection in the TLS handshake without a word: it may be a port for plain text (use "
           "tcp://), or a server that lets only certain addresses in";
  if (!notes.finished)
    return "the server closed the connection in the middle of the TLS handshake" +
           std::string(reason == 0 ? "" : std::string(" (") + ERR_reason_error_string(openssl_error) + ")");
  if (notes.asked_for_certificate && notes.expected->our_subject.empty())
    return "the server ended the connection after it had asked for a client certificate, and we have none: put tls.crt "
           "and tls.key, or a .p12 file, into the credentials folder (--tak-credentials)";
  if (reason != 0) return std::string("TLS failed: ") + ERR_reason_error_string(openssl_error);
  return "the server closed the connection";
}

}  // namespace detection::tak
