#include "integration/support/service.hpp"

#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace detection::integration {

Service::Service(ServiceSettings settings)
    : settings_(std::move(settings)), api_port_(free_port()), metrics_port_(free_port()) {
  while (metrics_port_ == api_port_) metrics_port_ = free_port();
  write_file(key_file(), std::string(kServiceKey) + "\n");
  std::filesystem::permissions(key_file(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  all_scopes_token_ = token();
}

std::vector<std::string> Service::arguments() const {
  std::vector<std::string> argv{settings_.binary.string(),
                                "serve",
                                "--data-dir",
                                data_dir().string(),
                                "--jwt-key-file",
                                key_file().string(),
                                "--listen",
                                "127.0.0.1:" + std::to_string(api_port_),
                                "--metrics-listen",
                                "127.0.0.1:" + std::to_string(metrics_port_)};
  if (!settings_.limiters) argv.insert(argv.end(), {"--rate-limit", "off"});
  for (const auto& sink : settings_.sinks) argv.insert(argv.end(), {"--tak-sink", sink});
  argv.insert(argv.end(), settings_.more.begin(), settings_.more.end());
  return argv;
}

void Service::launch() {
  child_.reset();  // the old one is dead before the new one takes its ports
  child_ = std::make_unique<Child>(arguments(), dir_.path() / "serve");
}

bool Service::wait_ready(std::chrono::milliseconds most) {
  return wait_until(most, [&] { return !child_->running() || ready_status() == 200; }) && child_->running();
}

void Service::start(std::chrono::milliseconds most) {
  launch();
  if (!wait_ready(most)) throw std::runtime_error("the service did not become ready:\n" + log());
}

void Service::kill() {
  if (child_) child_->kill();
}

std::optional<Exit> Service::terminate(std::chrono::milliseconds most) {
  child_->signal(SIGTERM);
  return child_->wait(most);
}

std::string Service::log() const {
  return read_file(dir_.path() / "serve.out") + read_file(dir_.path() / "serve.err");
}

std::string Service::token(std::string_view scope, std::string_view subject) const {
  auto made = run({settings_.binary.string(), "token", "--jwt-key-file", key_file().string(), "--subject",
                   std::string(subject), "--scope", std::string(scope), "--ttl", "60m"});
  if (made.exit.signalled || made.exit.code != 0) throw std::runtime_error("no token: " + made.out + made.err);
  while (!made.out.empty() && made.out.back() == '\n') made.out.pop_back();
  return made.out;
}

std::string Service::metrics() const {
  HttpClient client(metrics_port_, {}, std::chrono::seconds(5));
  const auto response = client.get("/metrics");
  return response && response->status == 200 ? response->body : std::string{};
}

std::optional<double> Service::metric(std::string_view series) const {
  const std::string text = metrics();
  const std::string begin = std::string(series) + " ";
  std::size_t at = text.starts_with(begin) ? 0 : text.find("\n" + begin);
  if (at == std::string::npos) return std::nullopt;
  at = text.find(' ', text[at] == '\n' ? at + 1 + series.size() : at + series.size());
  return std::strtod(text.c_str() + at, nullptr);
}

int Service::ready_status() const {
  HttpClient client(api_port_, {}, std::chrono::seconds(2));
  const auto response = client.get("/ready");
  return response ? response->status : 0;
}

}  // namespace detection::integration
