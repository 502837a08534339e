#pragma once
// A TCP proxy with faults, for tests: between a feeder and a TAK server, on 127.0.0.1, an ephemeral port. It passes on
// bytes and understands none of them (but see duplicate_answer), so it serves TLS as well as plain connections.
// One thread of its own; every function may be called from any thread.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace detection::integration {

/// What holds for every connection until it is changed.
struct Faults {
  bool refuse = false;                 ///< nobody listens; connections that stand are kept
  std::chrono::milliseconds delay{0};  ///< of each piece, both ways
  bool stall_to_peer = false;          ///< nothing is taken from the client: its window fills
  bool stall_to_client = false;        ///< the same for the peer's answers
  std::size_t bytes_per_second = 0;    ///< each way of each connection; 0: as fast as they come
  std::size_t piece_bytes = 0;         ///< of one write at most; 0: as they come
};

/// How a connection ends.
enum class Ending : std::uint8_t {
  kClose,       ///< in order, on both sides
  kReset,       ///< RST, on both sides
  kHalfClient,  ///< the client sees the end, what it still sends is passed on
  kHalfPeer,    ///< the peer sees the end, its answers are still passed on
};

struct GateOptions {
  std::uint16_t peer_port = 0;
  /// Towards the peer only whole TLS records are passed on. taky 0.10 drops a client whose record comes in two pieces,
  /// which TCP alone seldom does, and a proxy often.
  bool whole_tls_records = false;
  std::filesystem::path record{};  ///< gets the bytes that the first connection passed to the peer
};

struct StormOptions {
  std::uint64_t seed = 1;
  std::chrono::milliseconds length{1'000};
  bool duplicates = false;  ///< duplicate_answer too: plain connections only
  bool slow = true;         ///< delays, small pieces and low rates: not for a peer that whole_tls_records is for
};

class FaultGate {
 public:
  /// Listens. `peer_port` need not have a listener yet: a client is then closed as soon as it is accepted.
  explicit FaultGate(const GateOptions& options);
  ~FaultGate();
  FaultGate(const FaultGate&) = delete;
  FaultGate& operator=(const FaultGate&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::string authority(const std::string& host = "127.0.0.1") const {
    return host + ":" + std::to_string(port());
  }

  void set(const Faults& faults);
  /// No faults, and none of those to come: what stands goes on.
  void heal();
  /// All connections.
  void end_all(Ending how);
  /// The first connection that has carried so many bytes towards the peer, from its beginning, ends at exactly there.
  void cut_at(std::uint64_t bytes, Ending how);
  /// Half of the next piece from a client is passed on, then its connection ends: inside an event, a frame, a record.
  void cut_inside(Ending how);
  /// The next piece of the peer that is whole XML events is passed on twice: an answer that comes again. Only for plain
  /// connections: bytes of TLS that come twice are no second answer but a broken record, that is, another cut.
  void duplicate_answer();

  /// Random faults with random gaps, from the seed, on the calling thread; ends healed, and in time. What it did, in
  /// words. It says its seed first.
  std::vector<std::string> storm(const StormOptions& options);

  [[nodiscard]] std::uint64_t connections() const noexcept;  ///< accepted, and the peer reached
  [[nodiscard]] std::uint64_t ended() const noexcept;        ///< by a fault
  [[nodiscard]] std::uint64_t duplicated() const noexcept;   ///< answers
  [[nodiscard]] std::uint64_t bytes_to_peer() const noexcept;
  [[nodiscard]] std::uint64_t bytes_to_client() const noexcept;
  [[nodiscard]] std::size_t standing() const;  ///< connections now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::integration
