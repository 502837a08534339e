#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "tak/connection.hpp"
#include "tak/network.hpp"

namespace detection::tak {
namespace {

std::string system_message() {
  return std::generic_category().message(errno);
}

/// The disk is waited for on the sink's own thread, which has nothing else to do.
class FileConnection final : public Connection, public std::enable_shared_from_this<FileConnection> {
 public:
  FileConnection(const std::shared_ptr<asio::io_context>& context, const SinkOptions& options, Meter& meter,
                 ConnectionOwner& owner)
      : context_(context), options_(options), meter_(meter), owner_(owner) {}
  ~FileConnection() override { close_file(); }
  FileConnection(const FileConnection&) = delete;
  FileConnection& operator=(const FileConnection&) = delete;

  void open() override {
    later([](FileConnection& self) {
      if (auto failure = self.open_file(); !failure.empty()) return self.end(failure);
      self.owner_.connected();
    });
  }

  void send(std::optional<BatchNumber> number, std::shared_ptr<const EventBatch> batch) override {
    if (closed_) return;
    if (const auto until = batch->good_until(); until && std::chrono::steady_clock::now() >= *until)
      return end(kTooLate);
    if (moved_away()) {
      if (auto failure = open_file(); !failure.empty()) return end(failure);
    }
    std::string text;
    const UtcMicros now = system_now();
    for (std::size_t i = 0; i < batch->size(); ++i) {
      const std::size_t before = text.size();
      batch->append(i, cot::WireFormat::kXml, now, text);
      if (text.size() > before)
        text += '\n';
      else if (number)
        owner_.refused(*number, i, kNothingMade);
    }
    if (auto failure = append(text); !failure.empty()) return end(failure);
    meter_.bytes_sent += text.size();
    if (!number) return;
    owner_.delivered(*number, Delivery::kConfirmed);
    owner_.delivered_all_known();
  }

  void close(std::chrono::milliseconds /*linger*/) override { end("stopped"); }

 private:
  void later(void (*what)(FileConnection&)) {
    if (const auto context = context_.lock())
      asio::post(*context, [self = shared_from_this(), what] {
        if (!self->closed_) what(*self);
      });
  }

  std::string open_file() {
    close_file();
    // A pipe without a reader must not hold up the thread.
    file_ = ::open(options_.address.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (file_ < 0) return "cannot open " + options_.address.path + ": " + system_message();
    struct stat kind{};
    return ::fstat(file_, &kind) == 0 && S_ISREG(kind.st_mode) ? std::string{}
                                                               : options_.address.path + " is not a file";
  }

  void close_file() {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
  }

  /// By logrotate, say.
  bool moved_away() const {
    struct stat ours{}, theirs{};
    return ::stat(options_.address.path.c_str(), &theirs) != 0 || ::fstat(file_, &ours) != 0 ||
           ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev;
  }

  /// All of it or, as far as the disk lets us, nothing of it.
  std::string append(std::string_view text) {
    struct stat before{};
    if (::fstat(file_, &before) != 0) return "cannot look at " + options_.address.path + ": " + system_message();
    while (!text.empty()) {
      const auto wrote = ::write(file_, text.data(), text.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) {
        const auto message = system_message();
        (void)!::ftruncate(file_, before.st_size);
        return "cannot write " + options_.address.path + ": " + message;
      }
      text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return ::fdatasync(file_) == 0 ? std::string{} : "cannot write " + options_.address.path + ": " + system_message();
  }

  void end(std::string_view reason) {
    if (std::exchange(closed_, true)) return;
    close_file();
    const std::string text(reason);
    owner_.ended(text);
  }

  std::weak_ptr<asio::io_context> context_;
  const SinkOptions& options_;
  Meter& meter_;
  ConnectionOwner& owner_;
  int file_ = -1;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<Connection> make_file_connection(const std::shared_ptr<asio::io_context>& context,
                                                 const SinkOptions& options, Meter& meter, ConnectionOwner& owner) {
  return std::make_shared<FileConnection>(context, options, meter, owner);
}

}  // namespace detection::tak
