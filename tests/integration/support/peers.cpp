#include "integration/support/peers.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "detection/time.hpp"
#include "test_paths.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::filesystem::path kRoot = DETECTION_SOURCE_ROOT;
constexpr std::string_view kEventEnd = "</event>";

bool of_a_detection(std::string_view uid) {
  return uid.starts_with("DET.");
}

/// uid of the event that begins at `at`, in either kind of quotes.
std::string uid_at(std::string_view text, std::size_t at) {
  const auto tag = text.substr(at, text.find('>', at) - at);
  const auto found = tag.find(" uid=");
  if (found == std::string_view::npos || found + 6 >= tag.size()) return {};
  const auto begin = found + 6;
  return std::string(tag.substr(begin, tag.find(tag[begin - 1], begin) - begin));
}

std::string now_text() {
  return format_rfc3339_ms(system_now());
}

}  // namespace

std::string peer_script(const char* name) {
  return (kRoot / "tests/peers" / name).string();
}

std::optional<std::string> peer_missing(const std::vector<std::string>& setup) {
  std::vector<std::string> command = setup;
  command[0] = peer_script(setup[0].c_str());
  const auto made = run(command, std::chrono::minutes(16));
  if (!made.exit.signalled && made.exit.code == 0) return std::nullopt;
  return made.err.empty() ? "its set-up failed" : made.err;
}

Certificates::Certificates(const std::string& client) {
  const auto made = run({peer_script("make_certificates.sh"), dir_.path().string(), client});
  if (made.exit.signalled || made.exit.code != 0) throw std::runtime_error("no certificates: " + made.err);
}

// -- taky ----------------------------------------------------------------------------------------------------------

void Taky::start() {
  server_.reset();
  const auto output = dir_.path() / ("server-" + std::to_string(++starts_));
  std::vector<std::string> command{peer_script("taky_server.py"), "--dir", site().string(), "--port",
                                   std::to_string(port_)};
  if (tls_) command.emplace_back("--tls");
  server_ = std::make_unique<Child>(command, output);
  std::istringstream said;
  std::string ready;
  if (!wait_until(seconds(40),
                  [&] {
                    said = std::istringstream(read_file(output.string() + ".out"));
                    return !server_->running() || (said >> ready >> port_ >> pid_ && ready == "ready");
                  }) ||
      ready != "ready")
    throw std::runtime_error("taky does not start: " + read_file(output.string() + ".err"));
}

void Taky::kill() {
  ::kill(pid_, SIGKILL);
  (void)server_->wait(seconds(10));
}

UidCounts Taky::received() const {
  UidCounts uids;
  for (const auto& file : std::filesystem::directory_iterator(site() / "cot")) {
    const auto text = read_file(file.path());
    EXPECT_EQ(text.find("__taky_err"), std::string::npos) << "an event that taky refused";
    for (std::size_t at = 0; (at = text.find("<event ", at)) != std::string::npos; ++at) ++uids[uid_at(text, at)];
  }
  return uids;
}

// -- cottak --------------------------------------------------------------------------------------------------------

void Cottak::start() {
  server_.reset();
  const auto output = dir_.path() / std::to_string(starts_++);
  std::vector<std::string> command{(kRoot / ".cache/cottak/cottak_peer").string(),
                                   "tcp=127.0.0.1:" + std::to_string(tcp_port_), "versions=1",
                                   // A full one drops silently, and a reader in Python falls behind in a storm.
                                   "queue=2000000"};
  if (certificates_ != nullptr) {
    command.push_back("tls=127.0.0.1:" + std::to_string(tls_port_));
    command.push_back("cert=" + certificates_->file("server.crt"));
    command.push_back("key=" + certificates_->file("server.key"));
    command.push_back("ca=" + certificates_->file("ca.crt"));
  }
  server_ = std::make_unique<Child>(command, output);
  std::string text;
  if (!wait_until(seconds(20),
                  [&] {
                    text = read_file(output.string() + ".out");
                    return text.find("READY\n") != std::string::npos || !server_->running();
                  }) ||
      text.find("READY\n") == std::string::npos)
    throw std::runtime_error("cottak does not start: " + text + read_file(output.string() + ".err"));
  std::istringstream words(text);
  for (std::string listen, kind, address; words >> listen >> kind >> address && listen == "LISTEN";) {
    const auto port = static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
    (kind == "tls" ? tls_port_ : tcp_port_) = port;
  }
  read_.push_back(0);
}

void Cottak::kill() {
  server_->kill();
}

const Cottak::Said& Cottak::said() {
  for (std::size_t start = 0; start < read_.size(); ++start) {
    std::ifstream in(dir_.path() / (std::to_string(start) + ".out"), std::ios::binary);
    in.seekg(static_cast<std::streamoff>(read_[start]));
    for (std::string line; std::getline(in, line) && !in.eof();) {
      read_[start] += line.size() + 1;
      std::istringstream words(line);
      std::string what, first, second, third;
      words >> what >> first >> second >> third;
      if (what == "EVENT" && of_a_detection(third)) ++said_.uids[third];
      if (what == "PROTO" && second == "V1") ++said_.switched;
      if (what == "CONNECT") ++(third == "tls=true" ? said_.tls_connects : said_.connects);
      if (what == "LAG") ++said_.lagged;
    }
  }
  return said_;
}

// -- witness -------------------------------------------------------------------------------------------------------

Witness::Witness(std::uint16_t port, const std::optional<tak::ClientTls>& tls)
    : client_(port, tls), connected_(client_.connected()) {
  if (connected_) thread_ = std::thread([this] { run(); });
}

Witness::~Witness() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Witness::run() {
  std::ofstream file(events_file(), std::ios::binary);
  std::string text;
  auto next_ping = std::chrono::steady_clock::now();
  while (!stopping_ && !client_.ended()) {
    if (const auto now = std::chrono::steady_clock::now(); now >= next_ping) {
      next_ping = now + seconds(15);
      const std::string time = now_text();
      (void)client_.send("<event version=\"2.0\" uid=\"witness-ping\" type=\"t-x-c-t\" how=\"m-g\" time=\"" + time +
                         "\" start=\"" + time + "\" stale=\"" +
                         format_rfc3339_ms(system_now() + std::chrono::hours(1)) +
                         "\"><point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"9999999\" le=\"9999999\"/><detail/></event>");
    }
    text += client_.read_some(milliseconds(50));
    std::size_t done = 0;
    const std::scoped_lock lock(mutex_);
    for (std::size_t end = 0; (end = text.find(kEventEnd, done)) != std::string::npos;) {
      const auto event = std::string_view(text).substr(done, end + kEventEnd.size() - done);
      done = end + kEventEnd.size();
      const auto begin = event.find("<event ");
      if (begin == std::string_view::npos) continue;
      if (std::string uid = uid_at(event, begin); of_a_detection(uid)) {
        ++uids_[std::move(uid)];
        file << event;
      }
    }
    if (done > 0) file.flush();
    text.erase(0, done);
  }
  ended_ = client_.ended();
}

UidCounts Witness::uids() const {
  const std::scoped_lock lock(mutex_);
  return uids_;
}

std::size_t Witness::distinct() const {
  const std::scoped_lock lock(mutex_);
  return uids_.size();
}

bool Witness::wait_for(std::size_t distinct, milliseconds most) const {
  return wait_until(most, [&] { return this->distinct() >= distinct || !connected(); }) && this->distinct() >= distinct;
}

// -- pytak ---------------------------------------------------------------------------------------------------------

PytakSubscriber::PytakSubscriber(std::uint16_t port, const std::string& credentials) {
  std::vector<std::string> command{peer_script("pytak_subscriber.py"), "--output", (dir_.path() / "events").string(),
                                   "--url"};
  command.push_back((credentials.empty() ? "tcp://127.0.0.1:" : "tls://localhost:") + std::to_string(port));
  if (!credentials.empty()) command.insert(command.end(), {"--credentials", credentials});
  child_ = std::make_unique<Child>(command, dir_.path() / "said");
  if (!wait_until(seconds(40),
                  [&] { return read_file(dir_.path() / "said.out").starts_with("connected 1") || !child_->running(); }))
    throw std::runtime_error("pytak does not connect: " + read_file(dir_.path() / "said.err"));
}

UidCounts PytakSubscriber::uids() const {
  UidCounts uids;
  std::istringstream lines(read_file(dir_.path() / "events"));
  for (std::string line; std::getline(lines, line) && !lines.eof();)
    if (auto uid = nlohmann::json::parse(line).value("uid", std::string()); of_a_detection(uid)) ++uids[uid];
  return uids;
}

bool PytakSubscriber::wait_for(std::size_t distinct, milliseconds most) const {
  return wait_until(most, [&] {
    if (uids().size() >= distinct) return true;
    sleep_ms(200);
    return false;
  });
}

std::string PytakSubscriber::finish() {
  child_->signal(SIGTERM);
  const auto ended = child_->wait(seconds(10));
  if (ended && !ended->signalled && ended->code == 0) return {};
  return "events that broke a rule: " + read_file(dir_.path() / "said.out") + read_file(dir_.path() / "said.err");
}

// -- node-CoT ------------------------------------------------------------------------------------------------------

std::vector<nlohmann::json> read_with_node_cot(const std::filesystem::path& file) {
  const auto read =
      run({"node", (kRoot / ".cache/node/node-cot/reader.mjs").string(), file.string()}, std::chrono::minutes(5));
  EXPECT_TRUE(!read.exit.signalled && read.exit.code == 0) << read.err << read.out.substr(0, 2'000);
  std::vector<nlohmann::json> events;
  std::istringstream lines(read.out);
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  return events;
}

// -- schemathesis --------------------------------------------------------------------------------------------------

void expect_schemathesis_finds_nothing(Service& service) {
  TempDir dir;
  write_file(dir.path() / "token", service.all_scopes_token());
  const auto url = [](std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); };
  const bool thorough = env_number("DETECTION_LONG", 0) != 0;
  const auto tried = run(
      {peer_script("schemathesis_run.py"), "--api", url(service.api_port()), "--metrics", url(service.metrics_port()),
       "--token-file", (dir.path() / "token").string(), "--out", (dir.path() / "out").string(), "--examples",
       thorough ? "200" : "10", "--seed", std::to_string(env_number("DETECTION_SEED", 1))},
      std::chrono::minutes(thorough ? 14 : 5));
  std::printf("%s", tried.out.c_str());
  EXPECT_FALSE(tried.exit.signalled);
  EXPECT_EQ(tried.exit.code, 0) << tried.err;
  EXPECT_TRUE(service.child().running()) << service.log();
}

}  // namespace detection::integration
