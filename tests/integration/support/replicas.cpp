#include "integration/support/replicas.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

constexpr std::size_t kLogTail = 6'000;

std::string tail(const std::string& text) {
  return text.size() <= kLogTail ? text : "..." + text.substr(text.size() - kLogTail);
}

}  // namespace

Replicas::Replicas(PostgresServer& server, const Plan& plan) : server_(server), password_(plan.password) {
  static std::atomic<int> number{0};
  database_ = "replicas_" + std::to_string(++number);
  server_.create_database(database_);
  const auto made = command({"migrate"}, plan.migrated_by);
  EXPECT_EQ(made.exit.code, 0) << "migrate: " << made.out << made.err;
  for (std::size_t i = 0; i < plan.count; ++i) {
    gates_.push_back(std::make_unique<FaultGate>(GateOptions{.peer_port = server_.port()}));
    ServiceSettings settings{plan.binaries.empty() ? binary() : plan.binaries.at(i)};
    if (i < plan.sinks.size()) settings.sinks = plan.sinks[i];
    settings.more = plan.more;
    settings.more.insert(
        settings.more.end(),
        {"--database-url", server_.url(database_, plan.user, {}, gates_.back()->port()) + plan.url_settings});
    if (!plan.slots.empty()) settings.more.insert(settings.more.end(), {"--slot", plan.slots.at(i)});
    services_.push_back(std::make_unique<Service>(std::move(settings)));
  }
}

void Replicas::start() {
  for (auto& service : services_) service->launch();
  for (auto& service : services_)
    if (!service->wait_ready(std::chrono::seconds(20)))
      throw std::runtime_error("a replica did not become ready:\n" + tail(service->log()));
}

Output Replicas::command(std::vector<std::string> arguments, const std::filesystem::path& program) const {
  arguments.insert(arguments.begin(), program.string());
  arguments.insert(arguments.end(), {"--database-url", server_.url(database_, "postgres", password_)});
  return run(arguments, std::chrono::minutes(5));
}

bool Replicas::spools_empty(std::chrono::milliseconds most) {
  return wait_until(most, [&] {
    const bool empty =
        std::ranges::all_of(services_, [](const auto& service) { return service->metric("spool_size") == 0.0; });
    if (!empty) sleep_ms(50);
    return empty;
  });
}

std::string Replicas::deliveries() const {
  std::string all;
  for (std::size_t i = 0; i < services_.size(); ++i) {
    auto client = services_[i]->client();
    const auto answer = client.get("/api/v1/delivery");
    all += "--- replica " + std::to_string(i) + "\n" + (answer ? answer->body : "no answer") + "\n";
  }
  return all;
}

std::string Replicas::logs() const {
  std::string all;
  for (std::size_t i = 0; i < services_.size(); ++i)
    all += "--- replica " + std::to_string(i) + "\n" + tail(services_[i]->log());
  return all;
}

void Told::acknowledged(const std::vector<std::string>& ids, int status) {
  const std::scoped_lock lock(mutex_);
  acknowledged_.insert(acknowledged_.end(), ids.begin(), ids.end());
  ++answers_[status];
}

void Told::unanswered(Unanswered request) {
  const std::scoped_lock lock(mutex_);
  unanswered_.push_back(std::move(request));
}

void Told::refused(int status, const std::string& body) {
  EXPECT_EQ(status, 503) << body;
  const std::scoped_lock lock(mutex_);
  ++answers_[status];
}

std::uint64_t Told::answers(int status) const {
  const std::scoped_lock lock(mutex_);
  const auto found = answers_.find(status);
  return found == answers_.end() ? 0 : found->second;
}

std::string Told::counts() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const auto& [status, count] : std::map(answers_.begin(), answers_.end()))
    text += (text.empty() ? "" : ", ") + std::to_string(status) + ": " + std::to_string(count);
  return text;
}

std::vector<std::string> acknowledged_ids(const Response& answer) {
  std::vector<std::string> ids;
  const auto json = nlohmann::json::parse(answer.body);
  if (!json.contains("results")) return {json.at("detection_id").get<std::string>()};
  for (const auto& result : json.at("results")) {
    const int status = result.at("status").get<int>();
    EXPECT_TRUE(status >= 200 && status <= 202) << result;
    ids.push_back(result.at("detection_id").get<std::string>());
  }
  return ids;
}

void post_until(const std::atomic<bool>& stop, const Service& service, std::uint64_t seed, Told& told,
                std::chrono::milliseconds pause) {
  std::mt19937_64 random(seed);
  auto client = service.client();
  while (!stop.load()) {
    const bool batch = random() % 10 < 4;
    const std::size_t count = batch ? 2 + random() % 19 : 1;
    Unanswered request{batch ? "/api/v1/detections/batch" : "/api/v1/detections", {}, {}};
    for (std::size_t i = 0; i < count; ++i) request.ids.push_back(random_uuid(random));
    const auto number = random() % 1'000'000;
    request.body = batch ? batch_json(number, count, request.ids) : detection_json(number, request.ids.front());
    const auto answer = client.post(request.target, request.body);
    if (!answer) {
      if (client.reached()) told.unanswered(std::move(request));
      sleep_ms(5);
    } else if (answer->status >= 200 && answer->status <= 202) {
      const auto ids = acknowledged_ids(*answer);
      EXPECT_EQ(ids, request.ids);
      told.acknowledged(ids, answer->status);
      std::this_thread::sleep_for(pause);
    } else {
      told.refused(answer->status, answer->body);
      sleep_ms(20);
    }
  }
}

std::unordered_map<std::string, std::size_t> confirmed_once(const Replicas& replicas) {
  std::unordered_map<std::string, std::size_t> counts;
  std::unordered_map<std::string, std::map<std::int64_t, std::int64_t>> ranges;
  const auto exported = replicas.command({"audit", "export"});
  EXPECT_EQ(exported.exit.code, 0) << exported.err;
  std::istringstream lines(exported.out);
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line, nullptr, false);
    if (!record.is_object() || !record.contains("body")) continue;
    const auto body = nlohmann::json::parse(record.at("body").get<std::string>(), nullptr, false);
    if (!body.is_object() || !body.contains("ranges") || !body.contains("confirmation")) continue;
    const auto sink = body.at("sink").get<std::string>();
    counts[sink] += body.at("count").get<std::size_t>();
    for (const auto& range : body.at("ranges")) {
      const auto first = range.at(0).get<std::int64_t>(), last = range.at(1).get<std::int64_t>();
      auto& all = ranges[sink];
      const auto next = all.lower_bound(first);
      EXPECT_TRUE(next == all.end() || next->first > last)
          << sink << ": " << first << "-" << last << " was confirmed before as " << next->first << "-" << next->second;
      EXPECT_TRUE(next == all.begin() || std::prev(next)->second < first)
          << sink << ": " << first << "-" << last << " was confirmed before as " << std::prev(next)->first << "-"
          << std::prev(next)->second;
      all.emplace(first, last);
    }
  }
  return counts;
}

void expect_audit_holds(const Replicas& replicas) {
  const auto verdict = replicas.command({"audit", "verify"});
  EXPECT_EQ(verdict.exit.code, 0) << verdict.out << verdict.err;
  std::printf("%s", verdict.out.substr(0, verdict.out.find('\n') + 1).c_str());
}

void set_slot(const Replicas& replicas, const std::string& slot) {
  const auto done = replicas.command({"slot", "set", slot});
  EXPECT_EQ(done.exit.code, 0) << done.err;
  EXPECT_EQ(done.out, slot + "\n");
}

}  // namespace detection::integration
