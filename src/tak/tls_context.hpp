#pragma once
// TLS to a TAK server, as a client: what is checked of the server, and what was wrong in words.
//
// The server's certificate is always checked: against the authorities of the credentials (without any: the system's)
// and by name; or, where a pin is given, it must be exactly the pinned one, whatever its name, issuer and dates. The
// name is looked for in the SAN, and in the CN of a certificate that has no SAN at all (as many TAK certificates).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "tak/credentials.hpp"
#include "tak/sink.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct ssl_st;      // OpenSSL's SSL

namespace detection::tak {

/// What a server showed of itself.
struct ServerCertificate {
  std::string subject, issuer;     ///< "CN=name,O=organisation"
  std::vector<std::string> names;  ///< of the SAN; of a certificate without one: its CN
  bool has_san = false;
  UtcMicros starts{}, expires{};
  std::string sha256;  ///< of the DER form, lower-case hex: what a pin is
};

struct TlsExpectation;
struct TlsNotes;

/// Watches one connection or, attached to an SSL_CTX, those of a library that makes them itself (libcurl). One thread.
class TlsWitness {
 public:
  TlsWitness(TlsWitness&&) noexcept;
  ~TlsWitness();
  /// For connections that are not made by TlsContext::configure: sets every check of this file, and the authorities, on
  /// their context, which must not outlive the witness. SNI and a client certificate are left to its owner.
  void attach(ssl_ctx_st* context);
  [[nodiscard]] const std::optional<ServerCertificate>& server() const;
  /// As TlsContext::explain.
  [[nodiscard]] std::string explain(unsigned long openssl_error) const;

 private:
  friend class TlsContext;
  TlsWitness(std::unique_ptr<TlsNotes> notes, std::shared_ptr<ssl_ctx_st> checks);
  std::unique_ptr<TlsNotes> notes_;
  std::shared_ptr<ssl_ctx_st> checks_;
};

/// Immutable; may be shared by threads. Each connection keeps what it needs, so the object may go before them.
class TlsContext {
 public:
  /// `credentials` may be null: no client certificate, the system's authorities. `host` is the address's.
  /// kConfiguration for a pin that is no SHA-256 in hex (colons are allowed), or what OpenSSL refuses.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> make(const TlsOptions& options,
                                                                      const std::string& host,
                                                                      const CredentialsPointer& credentials);

  /// To make connections with. Owned by the pointer; has no callbacks that need this object.
  [[nodiscard]] std::shared_ptr<ssl_ctx_st> native() const { return native_; }

  /// Of a new SSL made from native(), before its handshake: SNI, the checks, the notes that explain() reads. A
  /// connection that was not configured refuses every server.
  [[nodiscard]] Result<void> configure(ssl_st* ssl) const;

  /// What was wrong with a configured connection, and what to do about it; one line, without a full stop at its end.
  /// After a failed handshake, or a failed or ended read: under TLS 1.3 a server refuses our certificate only then.
  /// `openssl_error` is the packed code where the caller took it from OpenSSL's queue (boost: error.value() in the
  /// category asio.ssl); 0: none, as after an end of the stream.
  [[nodiscard]] static std::string explain(const ssl_st* ssl, unsigned long openssl_error = 0);

  /// What the server of a configured connection showed; nothing before it did.
  [[nodiscard]] static std::optional<ServerCertificate> server(const ssl_st* ssl);
  /// Whether the server asked for a client certificate.
  [[nodiscard]] static bool asked_for_certificate(const ssl_st* ssl);
  /// "TLS 1.3"
  [[nodiscard]] static std::string version(const ssl_st* ssl);

  /// The same checks for a connection of somebody else's making.
  [[nodiscard]] TlsWitness witness() const;

 private:
  TlsContext() = default;
  std::shared_ptr<ssl_ctx_st> native_;
  std::shared_ptr<const TlsExpectation> expected_;
};

}  // namespace detection::tak
