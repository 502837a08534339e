#pragma once
// The certificate and key of the API port, re-read when their contents change. For the server's own .cpp files.
//
// Threads: open_session() from any; a thread of its own looks at the files once a second.

#include <openssl/ssl.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "http/server.hpp"
#include "http/tls_session.hpp"

namespace detection::http {

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeContext>;

class TlsCredentials {
 public:
  /// The error names the file and says why it cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<TlsCredentials>> load(TlsFiles files, telemetry::Gauge expiry);
  ~TlsCredentials();
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  /// Looks at the files until the end; tells `reloaded` what came of each change.
  void watch(TlsReloaded reloaded);
  /// With the present certificate, which the session keeps. Null when there is no memory.
  [[nodiscard]] std::unique_ptr<TlsSession> open_session(int descriptor);

 private:
  TlsCredentials(TlsFiles files, telemetry::Gauge expiry) : files_(std::move(files)), expiry_(expiry) {}
  [[nodiscard]] Result<void> reload(const std::string& certificate, const std::string& key);
  void look_again();
  void run();

  const TlsFiles files_;
  telemetry::Gauge expiry_;
  TlsReloaded reloaded_{};
  std::string tried_;  ///< a digest of the contents that were last tried
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  TlsContext context_;
  std::thread thread_;
};

}  // namespace detection::http
