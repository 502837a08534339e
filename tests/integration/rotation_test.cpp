// Keys change while requests run: nobody with a good token is refused. DETECTION_ROTATION_SECONDS (5; `./test full`
// 60).

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "integration/support/forge.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr double kRequestsPerSecond = 500;
constexpr unsigned kThreads = 4;

std::string claims(seconds life = seconds(600)) {
  const auto now = std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return nlohmann::json{{"iss", "detection-api"},
                        {"sub", "rotator"},
                        {"scope", "detections:write detections:read"},
                        {"iat", now},
                        {"exp", now + life.count()}}
      .dump();
}

int status_with(const Service& service, const std::string& token) {
  HttpClient client(service.api_port(), token);
  const auto answer = client.get("/api/v1/detections?limit=1");
  return answer ? answer->status : 0;
}

/// A key directory as Kubernetes mounts a Secret: files are links into ..data, itself a link that is swapped whole.
class MountedKeys {
 public:
  explicit MountedKeys(std::filesystem::path directory) : directory_(std::move(directory)) {
    std::filesystem::create_directory(directory_);
  }
  void publish(const std::vector<std::pair<std::string, std::string>>& files) {
    const auto version = "..version_" + std::to_string(++version_);
    std::filesystem::create_directory(directory_ / version);
    for (const auto& [name, text] : files) write_file(directory_ / version / name, text);
    std::filesystem::create_directory_symlink(version, directory_ / "..data_tmp");
    std::filesystem::rename(directory_ / "..data_tmp", directory_ / "..data");
    for (const auto& [name, text] : files)
      if (!std::filesystem::is_symlink(directory_ / name))
        std::filesystem::create_symlink("..data/" + name, directory_ / name);
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      if (entry.is_symlink() && entry.path().filename() != "..data" && !std::filesystem::exists(entry.path()))
        std::filesystem::remove(entry.path());
  }

 private:
  std::filesystem::path directory_;
  int version_ = 0;
};

/// What the clients present at the moment.
class CurrentToken {
 public:
  void set(std::string token) {
    const std::scoped_lock lock(mutex_);
    token_ = std::move(token);
  }
  [[nodiscard]] std::string get() const {
    const std::scoped_lock lock(mutex_);
    return token_;
  }

 private:
  mutable std::mutex mutex_;
  std::string token_;
};

TEST(Rotation, NotOneRequestIsRefused) {
  const seconds duration(env_number("DETECTION_ROTATION_SECONDS", 5));
  const TempDir dir;
  MountedKeys keys(dir.path() / "keys");
  std::vector<std::pair<std::string, SigningKey>> ring;
  int made = 0;
  const auto add_key = [&] {
    const auto kind = static_cast<KeyKind>(made % 3);
    ring.emplace_back("key-" + std::to_string(++made), SigningKey(kind));
  };
  const auto publish = [&] {
    std::vector<std::pair<std::string, std::string>> files;
    for (const auto& [kid, key] : ring) files.emplace_back(kid + ".pem", key.public_pem());
    keys.publish(files);
  };
  const auto newest_token = [&] {
    static constexpr std::string_view kAlgorithms[] = {"ES256", "RS256", "EdDSA"};
    const auto& [kid, key] = ring.back();
    const auto algorithm = kAlgorithms[(made - 1) % 3];
    return signed_token(nlohmann::json{{"alg", algorithm}, {"kid", kid}, {"typ", "JWT"}}.dump(), claims(), key);
  };
  add_key();
  publish();
  Service service({binary(), {}, {"--jwt-key-dir", (dir.path() / "keys").string()}});
  service.start();
  CurrentToken current;
  current.set(newest_token());
  ASSERT_EQ(status_with(service, current.get()), 200);

  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> answers{0}, unauthorized{0}, others{0};
  std::vector<std::jthread> clients;
  for (unsigned i = 0; i < kThreads; ++i)
    clients.emplace_back([&, i] {
      HttpClient client(service.api_port());
      const auto pause = std::chrono::duration<double>(kThreads / kRequestsPerSecond);
      auto due = steady_clock::now();
      for (std::uint64_t number = std::uint64_t{i} * 1'000'000; !stop.load(); ++number) {
        client.set_token(current.get());
        const auto answer = client.post("/api/v1/detections", detection_json(number));
        if (!answer || (answer->status != 201 && answer->status != 401)) ++others;
        if (answer && answer->status == 401) ++unauthorized;
        ++answers;
        due += std::chrono::duration_cast<steady_clock::duration>(pause);
        std::this_thread::sleep_until(due);
      }
    });
  // Add a key, use it at once, drop the oldest when nobody presents it any more.
  const auto end = steady_clock::now() + duration;
  int rotations = 0;
  while (steady_clock::now() < end) {
    add_key();
    publish();
    current.set(newest_token());
    sleep_ms(700);
    if (ring.size() > 2) {
      ring.erase(ring.begin());
      publish();
    }
    sleep_ms(500);
    ++rotations;
  }
  stop.store(true);
  clients.clear();
  std::printf("%d rotations, %llu requests in %lld s, %llu answered 401, %llu otherwise not accepted\n", rotations,
              static_cast<unsigned long long>(answers.load()), static_cast<long long>(duration.count()),
              static_cast<unsigned long long>(unauthorized.load()), static_cast<unsigned long long>(others.load()));
  EXPECT_EQ(unauthorized.load(), 0U);
  EXPECT_EQ(others.load(), 0U);
  EXPECT_GE(rotations, 3);
  EXPECT_GT(static_cast<double>(answers.load()), kRequestsPerSecond * static_cast<double>(duration.count()) / 4);
}

TEST(Rotation, AReplacedKeyFileIsPickedUpWithinFiveSecondsAndTheOldOneStops) {
  Service service({binary(), {}, {}});
  service.start();
  const auto old_token = hmac_token(R"({"alg":"HS256"})", claims(), kServiceKey);
  ASSERT_EQ(status_with(service, old_token), 200);
  const std::string new_key = "integration-tests-second-key-93b7ac15de";
  const auto staged = service.key_file().string() + ".new";
  write_file(staged, new_key + "\n");
  std::filesystem::rename(staged, service.key_file());
  const auto new_token = hmac_token(R"({"alg":"HS256"})", claims(), new_key);
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, new_token) == 200; }));
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, old_token) == 401; }));
}

TEST(Rotation, ABadReplacementKeepsTheGoodKey) {
  Service service({binary(), {}, {}});
  service.start();
  write_file(service.key_file(), "short");
  sleep_ms(2'500);
  EXPECT_EQ(status_with(service, service.all_scopes_token()), 200);
  EXPECT_NE(service.log().find("\"warning\""), std::string::npos) << "nobody is told";
  EXPECT_EQ(service.ready_status(), 200);
}

TEST(Rotation, AWithdrawnKeyStopsAndComesBack) {
  const TempDir dir;
  const auto keys = dir.path() / "keys";
  std::filesystem::create_directory(keys);
  const SigningKey key(KeyKind::kEd25519);
  write_file(keys / "a.pem", key.public_pem());
  Service service({binary(), {}, {"--jwt-key-dir", keys.string()}});
  service.start();
  const auto token = signed_token(R"({"alg":"EdDSA","kid":"a"})", claims(), key);
  ASSERT_EQ(status_with(service, token), 200);
  std::filesystem::remove(keys / "a.pem");
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, token) == 401; }));
  write_file(keys / "a.pem", key.public_pem());
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(service, token) == 200; }));
}

}  // namespace
}  // namespace detection::integration
