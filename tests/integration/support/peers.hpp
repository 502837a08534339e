#pragma once
// Foreign software run by tests: taky, cottak, pytak, node-CoT, schemathesis, each a process of its own; and a witness
// of ours.
// What they are and how they are set up: tests/peers. Start them on the test's main thread (see Child).

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "integration/support/process.hpp"
#include "integration/support/service.hpp"
#include "tak/hand_client.hpp"

namespace detection::integration {

/// Of tests/peers.
[[nodiscard]] std::string peer_script(const char* name);
/// Sets up a peer (a script of tests/peers with its arguments); nothing when it is there, else why it cannot be.
[[nodiscard]] std::optional<std::string> peer_missing(const std::vector<std::string>& setup);

/// uid -> how often.
using UidCounts = std::unordered_map<std::string, std::size_t>;

/// What tests/peers/make_certificates.sh makes, in a folder of its own. Throws when openssl does not.
class Certificates {
 public:
  explicit Certificates(const std::string& client = "feeder");
  [[nodiscard]] std::string file(const char* name) const { return (dir_.path() / name).string(); }
  [[nodiscard]] std::string credentials() const { return file("credentials"); }
  /// For the witness and other clients of ours.
  [[nodiscard]] tak::ClientTls client() const {
    return {.ca = file("ca.crt"), .certificate = file("credentials/tls.crt"), .key = file("credentials/tls.key")};
  }

 private:
  TempDir dir_;
};

/// taky, in a folder and on a port of its own, as often as it is started. XML only.
class Taky {
 public:
  explicit Taky(bool tls = false) : tls_(tls) {}
  void start();
  void kill();  ///< SIGKILL
  /// Every event that it has logged: uid -> times. It flushes each one before it goes on. A failure of the test where
  /// it refused one.
  [[nodiscard]] UidCounts received() const;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "tcp://127.0.0.1:" + std::to_string(port_); }
  /// Of a client of its own authority; with TLS only.
  [[nodiscard]] std::string credentials() const { return (site() / "credentials").string(); }

 private:
  [[nodiscard]] std::filesystem::path site() const { return dir_.path() / "site"; }

  const bool tls_;
  TempDir dir_;
  int starts_ = 0;
  std::uint16_t port_ = free_port();
  pid_t pid_ = -1;
  std::unique_ptr<Child> server_;
};

/// cottak: it offers TAK Protocol v1, on a plain port and, with certificates, on one with mutual TLS.
class Cottak {
 public:
  explicit Cottak(const Certificates* certificates = nullptr) : certificates_(certificates) {}
  /// Again on the same ports. Throws when it does not come up.
  void start();
  void kill();  ///< SIGKILL
  [[nodiscard]] std::uint16_t tcp_port() const { return tcp_port_; }
  [[nodiscard]] std::uint16_t tls_port() const { return tls_port_; }

  struct Said {
    std::uint64_t connects = 0, tls_connects = 0;
    std::uint64_t switched = 0;  ///< connections that went over to V1
    std::uint64_t lagged = 0;    ///< lines lost: the counts are then too small
    UidCounts uids;              ///< of the events called DET.*
  };
  /// All it has said so far, over its starts.
  [[nodiscard]] const Said& said();

 private:
  const Certificates* certificates_;
  TempDir dir_;
  int starts_ = 0;
  std::uint16_t tcp_port_ = 0, tls_port_ = 0;
  std::vector<std::uint64_t> read_;  ///< bytes of the output of each start
  Said said_;
  std::unique_ptr<Child> server_;
};

/// A subscriber of ours, that reads XML from a TAK server and remembers what came: started before the feeder, so that
/// it misses nothing. Its connection is one; should it end, that is seen. It pings, as servers close who says nothing.
class Witness {
 public:
  explicit Witness(std::uint16_t port, const std::optional<tak::ClientTls>& tls = {});
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  [[nodiscard]] bool connected() const { return connected_ && !ended_; }
  [[nodiscard]] UidCounts uids() const;  ///< of the events called DET.*
  [[nodiscard]] std::size_t distinct() const;
  [[nodiscard]] bool wait_for(std::size_t distinct, std::chrono::milliseconds most) const;
  /// The file of all the events as they came, one after another.
  [[nodiscard]] std::filesystem::path events_file() const { return dir_.path() / "events"; }

 private:
  void run();

  TempDir dir_;
  tak::HandClient client_;
  std::atomic<bool> connected_{false}, ended_{false}, stopping_{false};
  mutable std::mutex mutex_;
  UidCounts uids_;
  std::thread thread_;
};

/// pytak as a subscriber: each event parsed and held against the rules of CoT.
class PytakSubscriber {
 public:
  /// `credentials` empty: plain. Throws when it does not connect.
  PytakSubscriber(std::uint16_t port, const std::string& credentials);
  [[nodiscard]] UidCounts uids() const;  ///< of the events called DET.*
  [[nodiscard]] bool wait_for(std::size_t distinct, std::chrono::milliseconds most) const;
  /// Ends it; what it found wrong, empty for nothing.
  [[nodiscard]] std::string finish();

 private:
  TempDir dir_;
  std::unique_ptr<Child> child_;
};

/// What node-CoT reads of the bytes in a file (XML events and frames): one object for each, see node-cot/reader.mjs.
[[nodiscard]] std::vector<nlohmann::json> read_with_node_cot(const std::filesystem::path& file);

/// schemathesis tries a running service against its own OpenAPI document, authenticated; a failure of the test where it
/// finds something. Thorough where DETECTION_LONG is set. Its Python environment is there (peer_missing).
void expect_schemathesis_finds_nothing(Service& service);

}  // namespace detection::integration
