#pragma once
// What each route does. Private to http/.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/detection_json.hpp"
#include "http/message.hpp"
#include "http/service.hpp"

namespace detection::http {

/// Runs a function on a connection's own thread.
using Post = std::function<void(std::function<void()>)>;

/// What one event thread brings along.
class RouteContext final : public store::CommitHome {
 public:
  RouteContext(std::uint64_t seed, Post post) : mint(seed), post_(std::move(post)) {}

  /// On the writer's thread: one post for all of a commit.
  void committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept override;

  DetectionParser parser;
  UuidMint mint;
  [[nodiscard]] const Post& post() const noexcept { return post_; }

 private:
  void finish();

  Post post_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<store::CommitJob>> done_;
};

/// A request whose job is with the writer; destroyed when it comes back.
struct Pending {
  virtual ~Pending() = default;
  virtual void finish(store::CommitJob& job) = 0;
};

class Routes {
 public:
  Routes(const ServiceOptions& options, const Rooms& rooms);
  ~Routes();

  /// Which route a path is, and its parameter.
  [[nodiscard]] static std::pair<Route, std::string> match(std::string_view path, bool metrics_port);
  /// The largest body that the route takes.
  [[nodiscard]] std::size_t body_bytes_most(Method method, Route route) const noexcept;

  /// Answers once, on the context's thread; `request` lives until then.
  void handle(Request& request, RouteContext& context, Respond respond);

  void begin_drain() noexcept { draining_ = true; }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  /// Ends the reader threads; what is queued is still answered.
  void stop();

 private:
  [[nodiscard]] Result<std::shared_ptr<const security::Principal>> authorise(const Request& request,
                                                                             security::Scope scope);
  void post_detection(Request& request, RouteContext& context, Respond respond);
  void post_batch(Request& request, RouteContext& context, Respond respond);
  /// Runs `read` on a reader thread (it may wait for the disk).
  void read(Request& request, RouteContext& context, security::Scope scope, std::function<Response()> read_it,
            Respond respond);
  [[nodiscard]] Response list(const Request& request);
  [[nodiscard]] Response one(const Request& request);
  [[nodiscard]] Response cot(const Request& request);
  [[nodiscard]] Response audit(const Request& request);
  [[nodiscard]] Response delivery(const Request& request);
  [[nodiscard]] Response health() const;
  [[nodiscard]] Response ready() const;
  [[nodiscard]] Response problem_page(const Request& request) const;
  [[nodiscard]] std::vector<pipeline::CourierStatus> courier_states() const;

  struct Readers;
  struct Posting;
  struct SinglePosting;
  struct BatchPosting;

  const ServiceOptions& options_;
  const Rooms& rooms_;
  std::vector<std::string> sinks_;
  std::unique_ptr<Readers> readers_;
  std::atomic<bool> draining_{false};
  UtcMicros started_ = system_now();
  telemetry::Counter auth_good_, auth_bad_, auth_scope_;
  telemetry::Counter accepted_[3], repeated_[3];
  telemetry::Counter refused_, conflict_, failed_;
  telemetry::Histogram processing_s_;
};

/// openapi/openapi.json, embedded.
extern const std::string_view kOpenApiDocument;

}  // namespace detection::http
