#pragma once
// From a sink's options to a stream that data may flow over: credentials read, host dialled, TLS agreed on (private to
// this room). Everything runs on the thread of the io_context.

#include <functional>
#include <memory>
#include <string>

#include "tak/credentials.hpp"
#include "tak/dialer.hpp"
#include "tak/sink.hpp"
#include "tak/stream.hpp"

namespace detection::tak {

class StreamOpener : public std::enable_shared_from_this<StreamOpener> {
 public:
  /// Either a stream or why there is none.
  using Done = std::function<void(std::shared_ptr<Stream> stream, const std::string& failure)>;

  /// `options` outlives it.
  StreamOpener(const std::shared_ptr<asio::io_context>& context, const SinkOptions& options);
  /// `done` is called once, later, unless cancelled.
  void open(Done done);
  void cancel();

  /// As they were read for this connection; null without a folder.
  [[nodiscard]] const Credentials* credentials() const noexcept { return credentials_.get(); }
  /// True once the folder holds other ones that can be used. Cheap while nothing changes. `failure` is set, in words,
  /// when they changed and cannot be used.
  [[nodiscard]] bool newer_credentials(std::string& failure);

 private:
  [[nodiscard]] Result<void> prepare();
  void dialled(Socket socket);
  void finish(std::shared_ptr<Stream> stream, const std::string& failure);

  std::weak_ptr<asio::io_context> context_;
  const SinkOptions& options_;
  std::shared_ptr<Dialer> dialer_;
  Timer timer_;
  std::optional<CredentialsWatch> watch_;
  CredentialsPointer credentials_;
  std::shared_ptr<const TlsContext> tls_;
  std::shared_ptr<Stream> stream_;
  Done done_;
};

}  // namespace detection::tak
