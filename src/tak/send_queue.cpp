#include "tak/send_queue.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <utility>

namespace detection::tak {

void SendQueue::put(Outgoing outgoing) {
  queued_ += outgoing.bytes.size();
  if (!outgoing.bytes.empty()) queue_.push_back(std::move(outgoing));
}

void SendQueue::wrote(std::size_t bytes) {
  written_ += bytes;
  front_written_ += bytes;
  while (!queue_.empty() && front_written_ >= queue_.front().bytes.size()) {
    front_written_ -= queue_.front().bytes.size();
    queue_.pop_front();
  }
}

bool SendQueue::look(int descriptor) {
  // The state is read after the queue: of a connection that was reset the queue is empty too.
  int unacknowledged = 0;
  if (::ioctl(descriptor, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged < 0) return false;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  if (info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_CLOSE_WAIT) return false;
  const auto queue = static_cast<std::uint64_t>(unacknowledged);
  if (queue > written_ || written_ - queue <= acknowledged_) return false;
  acknowledged_ = written_ - queue;
  return true;
}

}  // namespace detection::tak
