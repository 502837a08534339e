#include "tak/probe_datagram.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "cot/event.hpp"
#include "tak/probe_stream.hpp"

namespace detection::tak {
namespace {

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

ProbeReport ended(ProbeReport report, std::string name, std::string why) {
  report.steps.push_back({StepState::kBad, std::move(name), std::move(why)});
  report.conclusion = "A feeder would not work: nothing could be delivered.";
  return report;
}

bool is_group(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return IN_MULTICAST(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
  return IN6_IS_ADDR_MULTICAST(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

/// 0 or the error.
int choose_interface(int descriptor, int family, const std::string& name) {
  in_addr own{};
  if (family == AF_INET && ::inet_pton(AF_INET, name.c_str(), &own) == 1)
    return ::setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own) == 0 ? 0 : errno;
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return errno;
  ip_mreqn request{};
  request.imr_ifindex = static_cast<int>(index);
  const int number = request.imr_ifindex;
  const int result = family == AF_INET
                         ? ::setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request)
                         : ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_IF, &number, sizeof number);
  return result == 0 ? 0 : errno;
}

std::string local_address(int descriptor) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  std::array<char, NI_MAXHOST> text{};
  auto* const generic = reinterpret_cast<sockaddr*>(&own);
  if (::getsockname(descriptor, generic, &size) != 0 ||
      ::getnameinfo(generic, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
    return "?";
  return text.data();
}

/// A ping to one machine: when nothing listens there its answer is an error, on most networks. The error or 0.
int ask_port(int descriptor) {
  constexpr int kWait_ms = 500;
  std::string ping;
  cot::append_ping_xml(ping, "detection-api.probe", system_now());
  if (::send(descriptor, ping.data(), ping.size(), MSG_NOSIGNAL) < 0) return errno;
  pollfd one{descriptor, POLLIN, 0};
  ::poll(&one, 1, kWait_ms);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

struct Closing {
  int descriptor;
  ~Closing() { ::close(descriptor); }
};

}  // namespace

ProbeReport probe_datagram(const ProbeOptions& options) {
  ProbeReport report;
  const auto good = [&](const char* name, std::string text) {
    report.steps.push_back({StepState::kGood, name, std::move(text)});
  };
  const auto addresses = resolve(options.address.host, std::chrono::steady_clock::now() + options.timeout);
  if (!addresses) return ended(std::move(report), "name", addresses.error().detail);
  const auto& address = addresses->front();
  good("name", options.address.host + " is " + address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(options.address.port).c_str(), &hints, &found) != 0)
    return ended(std::move(report), "name", address + " is no address");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  const int descriptor = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return ended(std::move(report), "socket", reason_of(errno));
  const Closing closing{descriptor};
  const bool group = is_group(found->ai_addr);
  if (group && !options.interface.empty())
    if (const int error = choose_interface(descriptor, found->ai_family, options.interface); error != 0)
      return ended(std::move(report), "interface", "'" + options.interface + "' cannot be used: " + reason_of(error));
  if (::connect(descriptor, found->ai_addr, found->ai_addrlen) != 0)
    return ended(std::move(report), "route", "there is no way to " + address + ": " + reason_of(errno));
  good("route", "datagrams leave from " + local_address(descriptor));
  if (group) {
    good("group", address +
                      " is a multicast group: whoever joined it hears it, as far as the network carries groups "
                      "(containers and most clouds do not)");
  } else if (const int error = ask_port(descriptor); error != 0) {
    return ended(std::move(report), "port",
                 address + " port " + std::to_string(options.address.port) + ": " + reason_of(error) +
                     (error == ECONNREFUSED ? ": nothing listens there" : ""));
  } else {
    good("port", "nothing said that the port is closed");
  }
  report.would_deliver = true;
  report.conclusion =
      "A feeder would send; UDP has no answer, so nobody can know what arrives: deliveries are called "
      "'sent, unconfirmed'.";
  return report;
}

ProbeReport probe_file(const ProbeOptions& options) {
  ProbeReport report;
  const std::filesystem::path path = options.address.path;
  struct stat status{};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) return ended(std::move(report), "file", path.string() + " is a folder");
  const auto place = exists ? path : path.parent_path();
  if (::access(place.c_str(), exists ? W_OK : W_OK | X_OK) != 0)
    return ended(std::move(report), "file", place.string() + " cannot be written: " + reason_of(errno));
  report.steps.push_back(
      {StepState::kGood, "file", path.string() + (exists ? " is there and can be written" : " can be made")});
  report.would_deliver = true;
  report.conclusion = "A feeder would work: events are appended to the file.";
  return report;
}

}  // namespace detection::tak
