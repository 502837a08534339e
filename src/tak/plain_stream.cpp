#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <utility>

#include "tak/stream.hpp"

namespace detection::tak {
namespace {

constexpr std::size_t kGatherMost = 8;

class PlainStream final : public Stream, public std::enable_shared_from_this<PlainStream> {
 public:
  explicit PlainStream(Socket socket) : socket_(std::move(socket)), input_(kReadBytes) {}

  void open(Opened done) override { done({}); }

  void write(const std::deque<Outgoing>& queue, std::size_t skip, Wrote done) override {
    // What waits goes out in one call: a ping beside its batch.
    buffers_.clear();
    for (std::size_t i = 0; i < std::min(queue.size(), kGatherMost); ++i) {
      buffers_.emplace_back(queue[i].bytes.data() + skip, queue[i].bytes.size() - skip);
      skip = 0;
    }
    socket_.async_write_some(buffers_,
                             [self = shared_from_this(), done = std::move(done)](SystemError error, std::size_t bytes) {
                               done(error ? "write failed: " + error.message() : std::string{}, bytes);
                             });
  }

  void read(Read done) override {
    socket_.async_read_some(asio::buffer(input_), [self = shared_from_this(), done = std::move(done)](
                                                      SystemError error, std::size_t bytes) {
      if (!error) return done({}, std::string_view(self->input_.data(), bytes));
      done(error == asio::error::eof ? std::string(kClosedByPeer) : "read failed: " + error.message(), {});
    });
  }

  void say_goodbye() override {
    SystemError ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void close() override {
    SystemError ignored;
    socket_.close(ignored);
  }

  int descriptor() override { return socket_.native_handle(); }

 private:
  Socket socket_;
  std::vector<asio::const_buffer> buffers_;
  std::vector<char> input_;
};

}  // namespace

std::shared_ptr<Stream> make_plain_stream(Socket socket) {
  return std::make_shared<PlainStream>(std::move(socket));
}

}  // namespace detection::tak
