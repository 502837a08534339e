// TLS over real sockets, with certificates made here.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "http/test_server.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

struct Pair {
  std::string certificate, key;  ///< PEM
};

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

Pair make_pair(const std::string& name) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3'600);
  X509_set_pubkey(certificate, key);
  auto* const subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, subject);
  X509_sign(certificate, key, EVP_sha256());
  BIO* const certificate_text = BIO_new(BIO_s_mem());
  BIO* const key_text = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_text, certificate);
  PEM_write_bio_PrivateKey(key_text, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return {text_of(certificate_text), text_of(key_text)};
}

/// A blocking TLS client, which takes any certificate.
class TlsClient {
 public:
  struct Wishes {
    int version_most = TLS1_3_VERSION;
    int version_least = TLS1_VERSION;
    std::string protocols{};  ///< in the form of ALPN
    SSL_SESSION* session = nullptr;
  };

  explicit TlsClient(std::uint16_t port) : TlsClient(port, Wishes{}) {}
  TlsClient(std::uint16_t port, const Wishes& wishes) : raw_(port), context_(SSL_CTX_new(TLS_client_method())) {
    // Of this thread only: the server's must do without.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    const timeval patience{10, 0};
    ::setsockopt(raw_.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, wishes.version_least);
    SSL_CTX_set_max_proto_version(context_, wishes.version_most);
    ssl_ = SSL_new(context_);
    if (!wishes.protocols.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(wishes.protocols.data()),
                          static_cast<unsigned>(wishes.protocols.size()));
    if (wishes.session != nullptr) SSL_set_session(ssl_, wishes.session);
    SSL_set_fd(ssl_, raw_.descriptor());
    connected_ = SSL_connect(ssl_) == 1;
    ERR_clear_error();
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] SSL* ssl() const { return ssl_; }
  [[nodiscard]] std::string peer_name() const {
    X509* const certificate = SSL_get1_peer_certificate(ssl_);
    if (certificate == nullptr) return {};
    char name[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    X509_free(certificate);
    return name;
  }
  bool send(std::string_view text) {
    return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size());
  }
  /// All up to and with `last`, or up to the end.
  std::string receive_until(std::string_view last) {
    char buffer[16'384];
    while (pending_.find(last) == std::string::npos) {
      const int count = SSL_read(ssl_, buffer, sizeof buffer);
      if (count <= 0) {
        ended_ = SSL_get_error(ssl_, count) == SSL_ERROR_ZERO_RETURN;
        ERR_clear_error();
        return std::exchange(pending_, {});
      }
      pending_.append(buffer, static_cast<std::size_t>(count));
    }
    const auto end = pending_.find(last) + last.size();
    auto text = pending_.substr(0, end);
    pending_.erase(0, end);
    return text;
  }
  /// The server said goodbye.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  TestClient raw_;
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
  bool ended_ = false;
  std::string pending_;
};

/// /echo gives back the body, /large a large answer, /stream a stream of 100 chunks.
class PageHandler final : public Handler {
 public:
  std::expected<std::size_t, Refusal> head(Exchange&) override { return 10'000'000; }
  void request(Exchange& x) override {
    if (x.head.path == "/large") return x.answer_large({}, std::string(5'000'000, 'l') + "end");
    if (x.head.path == "/stream") {
      auto& stream = x.begin_stream({});
      for (int i = 0; i < 100; ++i) stream.send(std::make_shared<const std::string>(std::to_string(i) + ";"));
      return stream.end();
    }
    const std::string body = x.body + "|" + std::to_string(x.body.size()) + "end";
    x.answer({.body = body});
  }
  void answered(const Exchange&, unsigned) override {}
};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::string name = (fs::temp_directory_path() / "tls-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    files_ = {folder_ / "tls.crt", folder_ / "tls.key"};
  }
  ~TlsTest() override {
    server_.server.reset();
    fs::remove_all(folder_);
  }

  static void write(const fs::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }
  void put(const Pair& pair) {
    write(files_.certificate, pair.certificate);
    write(files_.key, pair.key);
  }
  void prepare() {
    server_.setup.tls = files_;
    server_.setup.make_handler = [](Loop&, Port) { return std::make_unique<PageHandler>(); };
    server_.setup.tls_reloaded = [this](const Result<void>& result) {
      if (result) {
        ++reloads_;
        return;
      }
      const std::scoped_lock lock(mutex_);
      last_problem_ = result.error().detail;
      ++failed_reloads_;
    };
    server_.setup.certificate_expiry = metrics_.gauge(telemetry::kHttpCertificateExpiryTimestampSeconds);
  }
  void start(const std::function<void(ServerLimits&)>& change = {}) {
    put(make_pair("first"));
    prepare();
    if (change) change(server_.setup.limits);
    server_.start();
  }
  [[nodiscard]] std::string problem_at_start() {
    ServerSetup setup;
    setup.limits = server_.setup.limits;
    setup.tls = files_;
    setup.make_handler = [](Loop&, Port) { return std::make_unique<PageHandler>(); };
    const auto started = make_server(std::move(setup))->start();
    return started ? "started" : started.error().detail;
  }
  [[nodiscard]] std::string last_problem() {
    const std::scoped_lock lock(mutex_);
    return last_problem_;
  }

  static constexpr std::string_view kGet = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

  fs::path folder_;
  TlsFiles files_;
  TestServer server_;
  telemetry::Metrics metrics_;
  std::atomic<int> reloads_{0}, failed_reloads_{0};
  std::mutex mutex_;
  std::string last_problem_;
};

TEST_F(TlsTest, AnswersAndKeepsTheConnection) {
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient c(server_.port(), {.version_most = version});
    ASSERT_TRUE(c.connected());
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"));
      const auto answer = c.receive_until("end");
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
      EXPECT_TRUE(answer.ends_with("body|4end")) << answer;
      EXPECT_NE(answer.find("Strict-Transport-Security: max-age="), std::string::npos);
    }
    c.send("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    c.receive_until("end");
    EXPECT_EQ(c.receive_until("more"), "");
    EXPECT_TRUE(c.ended()) << "no close_notify";
  }
  // The metrics port stays plain.
  TestClient metrics(server_.server->endpoint(Port::kMetrics).port);
  EXPECT_EQ(metrics.ask(kGet)->status, 200);
}

TEST_F(TlsTest, LargeBodiesGoBothWays) {
  start([](ServerLimits& limits) { limits.large_bodies_most = 10u << 20; });
  TlsClient c(server_.port());
  const std::string body(3'000'000, 'b');
  ASSERT_TRUE(
      c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  EXPECT_TRUE(c.receive_until("end").ends_with("\r\n\r\n" + body + "|3000000end"));
  for (int i = 0; i < 2; ++i) {
    c.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(50));
    const auto answer = c.receive_until("end");
    EXPECT_GT(answer.size(), 5'000'000U);
    EXPECT_EQ(std::ranges::count(answer.substr(answer.find("\r\n\r\n")), 'l'), 5'000'000);
  }
}

TEST_F(TlsTest, PipelinedAndByteWiseRequests) {
  start();
  TlsClient c(server_.port());
  std::string many;
  for (int i = 0; i < 500; ++i) many += kGet;
  ASSERT_TRUE(c.send(many));
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(c.receive_until("end").starts_with("HTTP/1.1 200"));
  for (const char byte : kGet) ASSERT_TRUE(c.send({&byte, 1}));
  EXPECT_TRUE(c.receive_until("end").starts_with("HTTP/1.1 200"));
}

TEST_F(TlsTest, StreamsAreChunked) {
  start();
  TlsClient c(server_.port());
  c.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(c.receive_until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  bool complete = false;
  const auto body = without_chunks(c.receive_until("more"), &complete);
  EXPECT_TRUE(complete);
  EXPECT_TRUE(body.starts_with("0;1;2;") && body.ends_with(";98;99;")) << body;
}

TEST_F(TlsTest, OldVersionsAndOtherProtocolsAreRefused) {
  start();
  EXPECT_FALSE(TlsClient(server_.port(), {.version_most = TLS1_1_VERSION}).connected());
  EXPECT_FALSE(TlsClient(server_.port(), {.protocols = std::string("\x02h2", 3)}).connected());
  TlsClient both(server_.port(), {.protocols = "\x02h2\x08http/1.1"});
  ASSERT_TRUE(both.connected());
  const unsigned char* chosen = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(both.ssl(), &chosen, &length);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), length), "http/1.1");
  EXPECT_TRUE(comes_true([&] { return server_.refused("tls") >= 2; }));
}

TEST_F(TlsTest, SessionsAreResumedAndNotRenegotiated) {
  start();
  TlsClient first(server_.port(), {.version_most = TLS1_2_VERSION});
  ASSERT_TRUE(first.connected());
  first.send(kGet);
  first.receive_until("end");
  SSL_SESSION* const session = SSL_get1_session(first.ssl());
  {
    TlsClient second(server_.port(), {.version_most = TLS1_2_VERSION, .session = session});
    ASSERT_TRUE(second.connected());
    EXPECT_EQ(SSL_session_reused(second.ssl()), 1);
    // Refused with an alert, and no more than that.
    SSL_renegotiate(second.ssl());
    EXPECT_NE(SSL_do_handshake(second.ssl()), 1);
    ERR_clear_error();
  }
  SSL_SESSION_free(session);
  TlsClient after(server_.port());
  after.send(kGet);
  EXPECT_TRUE(after.receive_until("end").starts_with("HTTP/1.1 200"));
}

TEST_F(TlsTest, PlainHttpIsToldSo) {
  start();
  auto c = server_.client();
  const auto answer = c.ask(kGet);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400);
  EXPECT_NE(answer->body.find("https"), std::string::npos) << answer->body;
  EXPECT_EQ(answer->header("Strict-Transport-Security"), "");
  EXPECT_TRUE(c.closed());
}

TEST_F(TlsTest, AbuseOfTheHandshakeIsEnded) {
  start([](ServerLimits& limits) { limits.header_timeout = milliseconds(300); });
  std::string random(2'000, '\0');
  for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<char>(i * 37 % 251);
  for (const auto& garbage : {random, std::string(70'000, '\x16'), std::string("\x16\x03\x01\xff\xff", 5) + random,
                              std::string("\x16\x03\x01\x00\x00", 5), std::string("\x80\x2e\x01\x00\x02", 5)}) {
    auto c = server_.client();
    c.send(garbage);
    c.half_close();
    EXPECT_TRUE(c.receive_rest() || c.cut());
  }
  for (int i = 0; i < 50; ++i) {
    auto early = server_.client();
    early.send("\x16\x03\x01");
    early.reset();
    auto silent = server_.client();
  }
  // A hello that comes a byte at a time does not move the deadline.
  auto slow = server_.client();
  auto nothing = server_.client();
  const auto begin = std::chrono::steady_clock::now();
  while (slow.quiet(milliseconds(20)) && slow.send(std::string_view("\x16\x03\x01\x02", 4).substr(0, 1)))
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  EXPECT_TRUE(nothing.closed());
  EXPECT_TRUE(comes_true([&] { return server_.refused("tls") >= 4; }));
  TlsClient c(server_.port());
  c.send(kGet);
  EXPECT_TRUE(c.receive_until("end").starts_with("HTTP/1.1 200"));
}

TEST_F(TlsTest, OneTooManyIsTold) {
  start([](ServerLimits& limits) { limits.connections_most = 2; });
  TlsClient a(server_.port()), b(server_.port());
  TlsClient over(server_.port());
  ASSERT_TRUE(over.connected());
  const auto answer = over.receive_until("}");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("Retry-After"), std::string::npos);
}

TEST_F(TlsTest, NewCertificateIsTakenWhileConnectionsGoOn) {
  start();
  TlsClient old(server_.port());
  EXPECT_EQ(old.peer_name(), "first");
  const auto expiry = [&] {
    const auto text = metrics_.expose();
    const std::string name = "\nhttp_certificate_expiry_timestamp_seconds ";
    return std::strtod(text.c_str() + text.find(name) + name.size(), nullptr);
  };
  EXPECT_NEAR(expiry(), static_cast<double>(std::time(nullptr)) + 3'600, 120);

  // A pair that does not fit together, then nothing readable: the old one stays.
  const auto second = make_pair("second");
  write(files_.certificate, second.certificate);
  ASSERT_TRUE(comes_true([&] { return failed_reloads_ >= 1; }));
  EXPECT_NE(last_problem().find("tls.key is not the key of"), std::string::npos) << last_problem();
  EXPECT_EQ(TlsClient(server_.port()).peer_name(), "first");
  write(files_.certificate, "rubbish");
  ASSERT_TRUE(comes_true([&] { return failed_reloads_ >= 2; }));
  EXPECT_EQ(TlsClient(server_.port()).peer_name(), "first");
  put(second);
  ASSERT_TRUE(comes_true([&] { return reloads_ >= 1; }));
  EXPECT_EQ(TlsClient(server_.port()).peer_name(), "second");
  ASSERT_TRUE(old.send(kGet));
  EXPECT_TRUE(old.receive_until("end").starts_with("HTTP/1.1 200"));
}

TEST_F(TlsTest, FolderThatIsSwappedIsSeen) {
  // As Kubernetes does it: files are links through ..data, which is replaced as a whole.
  const auto version = [&](const std::string& name, const Pair& pair) {
    fs::create_directory(folder_ / name);
    write(folder_ / name / "tls.crt", pair.certificate);
    write(folder_ / name / "tls.key", pair.key);
    fs::create_directory_symlink(name, folder_ / "..data_tmp");
    fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  };
  version("v1", make_pair("first"));
  fs::create_symlink("..data/tls.crt", files_.certificate);
  fs::create_symlink("..data/tls.key", files_.key);
  prepare();
  server_.start();
  EXPECT_EQ(TlsClient(server_.port()).peer_name(), "first");
  version("v2", make_pair("second"));
  ASSERT_TRUE(comes_true([&] { return reloads_ == 1; }));
  EXPECT_EQ(TlsClient(server_.port()).peer_name(), "second");
  fs::remove_all(folder_ / "..data");
  std::this_thread::sleep_for(milliseconds(1'200));
  EXPECT_EQ(TlsClient(server_.port()).peer_name(), "second");
  EXPECT_EQ(failed_reloads_, 0);
}

TEST_F(TlsTest, WrongFilesStopTheStart) {
  const auto pair = make_pair("a");
  EXPECT_NE(problem_at_start().find(files_.certificate + " cannot be read: No such file"), std::string::npos)
      << problem_at_start();
  ASSERT_EQ(::mkfifo(files_.certificate.c_str(), 0600), 0);
  EXPECT_NE(problem_at_start().find(files_.certificate + " is not a regular file"), std::string::npos);
  fs::remove(files_.certificate);
  write(files_.certificate, pair.certificate);
  EXPECT_NE(problem_at_start().find(files_.key + " cannot be read: No such file"), std::string::npos);
  write(files_.key, "nothing");
  EXPECT_NE(problem_at_start().find(files_.key + " holds no private key"), std::string::npos);
  write(files_.key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
  EXPECT_NE(problem_at_start().find(files_.key + " is encrypted"), std::string::npos) << problem_at_start();
  write(files_.key, make_pair("b").key);
  EXPECT_NE(problem_at_start().find(files_.key + " is not the key of the first certificate"), std::string::npos);
  write(files_.key, pair.key);
  write(files_.certificate, "nothing");
  EXPECT_NE(problem_at_start().find(files_.certificate + " holds no certificate"), std::string::npos);
  write(files_.certificate, pair.certificate + "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n");
  EXPECT_NE(problem_at_start().find(files_.certificate + " holds a certificate that cannot be read"), std::string::npos)
      << problem_at_start();
  write(files_.certificate, pair.certificate + make_pair("issuer").certificate);
  EXPECT_EQ(problem_at_start(), "started");
  files_.key.clear();
  EXPECT_NE(problem_at_start().find("both"), std::string::npos);
  for (const auto& text : {pair.key}) EXPECT_EQ(problem_at_start().find(text), std::string::npos);
}

}  // namespace
}  // namespace detection::http
