#include "integration/support/postgres_server.hpp"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "test_paths.hpp"

namespace detection::integration {
namespace {

namespace fs = std::filesystem;

constexpr auto kStartTime = std::chrono::seconds(60);
constexpr auto kStopTime = std::chrono::seconds(30);

/// The folder of its programs; none: not installed.
std::optional<fs::path> binaries() {
  const auto whole = [](const fs::path& bin) { return fs::exists(bin / "postgres") && fs::exists(bin / "initdb"); };
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  std::istringstream folders(path == nullptr ? "" : path);
  // initdb needs the folder in which the programs really are.
  for (std::string folder; std::getline(folders, folder, ':');)
    if (fs::exists(fs::path(folder) / "postgres"))
      if (auto bin = fs::canonical(fs::path(folder) / "postgres").parent_path(); whole(bin)) return bin;
  std::optional<fs::path> newest;
  int version = 0;
  if (const fs::path debian = "/usr/lib/postgresql"; fs::exists(debian))
    for (const auto& entry : fs::directory_iterator(debian)) {
      const int its = std::atoi(entry.path().filename().c_str());  // NOLINT(cert-err34-c): 0 is none
      if (its > version && whole(entry.path() / "bin")) {
        version = its;
        newest = entry.path() / "bin";
      }
    }
  return newest;
}

const passwd* postgres_user() {
  return ::getpwnam("postgres");  // NOLINT(concurrency-mt-unsafe): tests ask on one thread
}

/// PostgreSQL refuses to run as root.
std::vector<std::string> as_its_user(std::vector<std::string> command) {
  // An immediate stop, not SIGKILL, when the test is gone: nothing of it is left.
  std::vector<std::string> whole{"setpriv", "--pdeathsig", "SIGQUIT"};
  if (::geteuid() == 0) whole.insert(whole.end(), {"--reuid=postgres", "--regid=postgres", "--init-groups"});
  whole.emplace_back("--");
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

/// Where a cluster lies that nothing has to outlive: in memory, where there is plenty, it is there in a third of the
/// time.
fs::path folder_of_clusters(bool on_disk) {
  constexpr std::uintmax_t kPlentyBytes = std::uintmax_t{4} << 30;  // a container has 64 MB, unless it asks
  const fs::path memory = "/dev/shm";
  std::error_code failure;
  const auto room = fs::space(memory, failure);
  return !on_disk && !failure && room.available >= kPlentyBytes ? memory : fs::temp_directory_path();
}

void give_to_its_user(const fs::path& path) {
  if (::geteuid() != 0) return;
  const auto* user = postgres_user();
  if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("chown " + path.string());
}

void must(const std::vector<std::string>& command) {
  const auto output = run(command, kStartTime);
  if (output.exit.signalled || output.exit.code != 0)
    throw std::runtime_error(command.front() + ": " + output.out + output.err);
}

void initdb(const fs::path& data) {
  must(as_its_user({(*binaries() / "initdb").string(), "-D", data.string(), "-A", "trust", "-U", "postgres", "-E",
                    "UTF8", "--locale=C.UTF-8", "--no-sync"}));
}

/// A fresh cluster is a copy of one that all tests of this build share: initdb takes ten times as long.
void make_cluster(const fs::path& data) {
  const fs::path pattern = fs::path(DETECTION_BINARY_ROOT) / ("postgres_cluster_" + std::to_string(::geteuid()));
  const int lock = ::open((pattern.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0) throw std::runtime_error("cannot lock " + pattern.string());
  try {
    const auto version = run({(*binaries() / "postgres").string(), "--version"}).out;
    if (read_file(pattern / "of") != version) {
      fs::remove_all(pattern);
      fs::create_directory(pattern);
      initdb(data);  // here, as its user may not enter the build's folder
      must({"cp", "-a", data.string(), (pattern / "data").string()});
      write_file(pattern / "of", version);
    } else {
      must({"cp", "-a", (pattern / "data").string(), data.string()});
    }
  } catch (...) {
    ::close(lock);
    throw;
  }
  ::close(lock);
}

std::string escaped(const std::string& text) {
  std::ostringstream out;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.')
      out << c;
    else
      out << '%' << "0123456789ABCDEF"[static_cast<unsigned char>(c) >> 4]
          << "0123456789ABCDEF"[static_cast<unsigned char>(c) & 15];
  return out.str();
}

pid_t parent_of(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto end = stat.rfind(')');  // of the name, which may hold anything
  if (end == std::string::npos) return -1;
  std::istringstream rest(stat.substr(end + 1));
  char state = 0;
  pid_t parent = -1;
  rest >> state >> parent;
  return state == 'Z' ? -1 : parent;
}

}  // namespace

std::optional<std::string> PostgresServer::unavailable() {
  if (!binaries()) return "no PostgreSQL server on PATH or below /usr/lib/postgresql (Debian: postgresql-15)";
  if (::geteuid() == 0 && postgres_user() == nullptr) return "no user `postgres`, and PostgreSQL does not run as root";
  return std::nullopt;
}

PostgresServer::PostgresServer(const PostgresOptions& options)
    : options_(options), folder_(folder_of_clusters(options.fsync)), port_(free_port()) {
  if (const auto why = unavailable()) throw std::runtime_error(*why);
  give_to_its_user(folder());
  make_cluster(folder() / "data");
  const std::string how = options_.passwords ? "scram-sha-256" : "trust";
  write_file(folder() / "data" / "pg_hba.conf", "local all all trust\n" +
                                                    std::string(options_.only_tls ? "hostssl" : "host") +
                                                    " all all 127.0.0.1/32 " + how + "\n");
  if (!options_.certificate.empty())
    for (const auto& [name, text] : {std::pair("server.crt", options_.certificate), {"server.key", options_.key}}) {
      const auto file = folder() / "data" / name;
      write_file(file, text);
      fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
      give_to_its_user(file);
    }
  start();
}

PostgresServer::~PostgresServer() {
  try {
    resume();
    if (postmaster_ && postmaster_->running()) stop(Stop::kImmediate);
  } catch (...) {  // what is left dies with the child
  }
}

void PostgresServer::start() {
  if (postmaster_ && postmaster_->running()) return;
  std::vector<std::string> command{(*binaries() / "postgres").string(), "-D", (folder() / "data").string()};
  const auto set = [&](const std::string& setting) {
    command.emplace_back("-c");
    command.push_back(setting);
  };
  set("listen_addresses=127.0.0.1");
  set("port=" + std::to_string(port_));
  set("unix_socket_directories=" + folder().string());
  set(options_.fsync ? "fsync=on" : "fsync=off");
  if (!options_.certificate.empty()) set("ssl=on");
  for (const auto& setting : options_.settings) set(setting);
  postmaster_.emplace(as_its_user(std::move(command)), folder() / "log");
  wait_until_ready();
}

void PostgresServer::wait_until_ready() {
  const std::string where = "host=" + folder().string() + " port=" + std::to_string(port_) + " connect_timeout=5";
  const bool ready = wait_until(kStartTime, [&] {
    return !postmaster_->running() || PQping((where + " dbname=postgres user=postgres").c_str()) == PQPING_OK;
  });
  if (!ready || !postmaster_->running()) throw std::runtime_error("PostgreSQL does not start: " + log());
}

void PostgresServer::stop(Stop how) {
  resume();
  postmaster_->signal(how == Stop::kFast ? SIGINT : SIGQUIT);
  if (!postmaster_->wait(kStopTime)) throw std::runtime_error("PostgreSQL does not stop: " + log());
}

std::vector<pid_t> PostgresServer::processes() const {
  std::vector<pid_t> found{postmaster_->pid()};
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    if (parent_of(pid) == found.front()) found.push_back(pid);
  }
  return found;
}

void PostgresServer::kill9() {
  suspend();  // so that no process is born meanwhile
  const auto all = processes();
  suspended_ = false;
  for (const auto pid : all) ::kill(pid, SIGKILL);
  postmaster_->kill();
  // A process that still is there keeps the next start from the shared memory.
  (void)wait_until(kStopTime, [&] { return std::ranges::all_of(all, [](pid_t pid) { return parent_of(pid) < 0; }); });
}

void PostgresServer::suspend() {
  if (!postmaster_->running()) throw std::logic_error("the server is not running");
  suspended_ = true;
  postmaster_->signal(SIGSTOP);
  for (const auto pid : processes()) ::kill(pid, SIGSTOP);
}

void PostgresServer::resume() {
  if (!suspended_) return;
  suspended_ = false;
  auto all = processes();
  std::ranges::reverse(all);
  for (const auto pid : all) ::kill(pid, SIGCONT);
}

std::string PostgresServer::url(const std::string& database, const std::string& user, const std::string& password,
                                std::uint16_t port) const {
  return "postgresql://" + escaped(user) + (password.empty() ? "" : ":" + escaped(password)) +
         "@127.0.0.1:" + std::to_string(port == 0 ? port_ : port) + "/" + escaped(database);
}

void PostgresServer::create_database(const std::string& name, const std::string& like) {
  run_sql("CREATE DATABASE \"" + name + "\" TEMPLATE \"" + like + "\"");
}

std::vector<std::vector<std::string>> PostgresServer::run_sql(const std::string& sql, const std::string& database) {
  const std::string where =
      "host=" + folder().string() + " port=" + std::to_string(port_) +
      " user=postgres connect_timeout=5 options='-c default_transaction_read_only=off' dbname=" + database;
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(where.c_str()), &PQfinish);
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()), &PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(sql + ": " + PQerrorMessage(connection.get()));
  std::vector<std::vector<std::string>> rows;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    rows.emplace_back();
    for (int column = 0; column < PQnfields(result.get()); ++column)
      rows.back().emplace_back(PQgetvalue(result.get(), row, column));
  }
  return rows;
}

std::string PostgresServer::log() const {
  return read_file(folder() / "log.err");
}

}  // namespace detection::integration
