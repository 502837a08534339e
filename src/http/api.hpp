#pragma once
// The routes: who may call them, what they take, what they answer. One Api for each event thread and port; what the
// threads share is in ApiState.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/audit_check.hpp"
#include "http/auth_watch.hpp"
#include "http/client_credentials.hpp"
#include "http/console_archive.hpp"
#include "http/cors.hpp"
#include "http/feed_hub.hpp"
#include "http/known_credentials.hpp"
#include "http/rate_limit.hpp"
#include "http/rate_sharing.hpp"
#include "http/read_cache.hpp"
#include "http/request_metrics.hpp"
#include "http/route_table.hpp"
#include "http/server.hpp"
#include "http/service.hpp"
#include "http/workers.hpp"

namespace detection::http {

/// Of one batch item: its place in the commit, or why it has none.
struct BatchSlot {
  std::size_t item = 0;
  std::optional<Error> error{};
};

struct ApiState {
  ApiState(const ServiceOptions& o, const Rooms& r);

  /// What the acceptance of a detection says about its delivery; `in_spool`: it is durable in the spool only.
  [[nodiscard]] const store::DeliveryStatus& at_acceptance(store::Disposition disposition, bool in_spool) const;

  const ServiceOptions options;
  const Rooms rooms;
  const SharedMetrics metrics;
  std::array<store::DeliveryStatus, 3> accepted, spooled;  ///< by Disposition
  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::atomic<bool> draining{false}, complete{false};
  std::atomic<std::size_t> jobs_out{0};  ///< with the store
  const Server* server = nullptr;
  Workers workers;
  Workers scraper;  ///< so that a scrape does not wait behind batches
  FeedHub feed;
  RateGates gates;
  RateSharing sharing;
  KnownCredentials known;
  AuthWatch auth_watch;
  ReadCache reads;
  AuditCheck audit_check;
  const Cors cors;
  ConsoleArchive console;  ///< from Service::start on
};

class Api final : public Handler {
 public:
  Api(ApiState& state, Loop& loop, Port port);
  ~Api() override;

  [[nodiscard]] std::expected<std::size_t, Refusal> head(Exchange& exchange) override;
  void request(Exchange& exchange) override;
  void answered(const Exchange& exchange, unsigned status) override;
  void stream_over(Exchange& exchange) override { state_.feed.over(exchange); }

 private:
  /// Where committed jobs come back: one post for each commit.
  class Home final : public store::CommitHome {
   public:
    explicit Home(Api& api) : api_(api) {}
    void committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept override;
    [[nodiscard]] std::vector<std::unique_ptr<store::CommitJob>> take();

   private:
    Api& api_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<store::CommitJob>> jobs_;
  };
  /// The same for batches, whose answers are written by the workers.
  class BatchHome final : public store::CommitHome {
   public:
    explicit BatchHome(Api& api) : api_(api) {}
    void committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept override;

   private:
    Api& api_;
  };
  struct Batch {
    Exchange* exchange = nullptr;
    std::vector<BatchSlot> slots;
  };
  struct Rendered {
    std::string_view content_type = "application/json";
    std::string body{};
    unsigned status = 200;
    std::string headers{};  ///< lines, each ended by CRLF
  };
  using Reading = std::move_only_function<Result<Rendered>()>;

  // api.cpp
  [[nodiscard]] std::expected<std::size_t, Refusal> unknown_path(const Exchange& x) const;
  [[nodiscard]] std::optional<Refusal> negotiate(Exchange& x, Route route);  // api_negotiate.cpp
  [[nodiscard]] std::size_t body_bytes_most(const Exchange& x, Route route) const;
  void answer_preflight(Exchange& x);
  void refuse(Exchange& x, Error error);
  void defer(Exchange& x);

  // api_access.cpp
  using Time = RateLimiter::Time;
  [[nodiscard]] ClientAddress client_of(const Exchange& x) const;
  [[nodiscard]] std::optional<Refusal> admit(Exchange& x, Route route, const MethodSpec& method);
  [[nodiscard]] std::optional<Refusal> admit_anybody(Exchange& x, Route route);
  [[nodiscard]] std::optional<Refusal> authenticate(Exchange& x, security::Scope scope);
  [[nodiscard]] std::optional<Refusal> admit_unknown(Exchange& x, Time now);
  [[nodiscard]] std::optional<Refusal> admit_subject(Exchange& x, security::Scope scope, Time now);
  [[nodiscard]] Refusal unauthenticated(Exchange& x, AuthFailure reason, Refusal refusal);
  [[nodiscard]] Refusal limited(Exchange& x, RateLimiter& limiter, const RateVerdict& verdict, RateScope scope);
  void charge_batch(const Exchange& x, std::size_t items);

  // api_post.cpp
  [[nodiscard]] Result<store::Acceptance> prepare(const Exchange& x, DetectionParser& parser, UuidMint& mint) const;
  void post_detection(Exchange& x);
  void submit(Exchange& x, Result<store::Acceptance> acceptance);
  void committed_home();
  void answer_commit(store::CommitJob& job);
  void answer_detection(Exchange& x, unsigned status, const LocatedDetection& located, store::Disposition disposition,
                        bool spooled);

  // api_batch.cpp
  void post_batch(Exchange& x);
  void run_batch(Exchange& x, Workers::Bench& bench);
  void answer_batch(Exchange& x, std::vector<BatchSlot> slots, std::unique_ptr<store::CommitJob> job);
  void refuse_later(Exchange& x, Error error);

  // api_read.cpp
  void read(Exchange& x, Workers& workers, Reading reading);
  void answer_tagged(Exchange& x, std::string_view content_type, std::string_view body, std::string_view etag,
                     std::string_view headers);
  [[nodiscard]] static Rendered tagged(Rendered rendered, std::string_view if_none_match);
  void get_list(Exchange& x);
  void get_one(Exchange& x, const Uuid& id);
  void get_cot(Exchange& x, const Uuid& id);
  void get_audit(Exchange& x, const Uuid& id);

  // api_decide.cpp
  void put_verify(Exchange& x, const Uuid& id);

  // api_delivery.cpp
  void get_delivery(Exchange& x);
  void get_dead_letters(Exchange& x, std::string_view sink);
  void post_retry(Exchange& x, std::string_view sink);

  // api_audit.cpp
  void get_audit_search(Exchange& x);
  void get_audit_verify(Exchange& x);

  // api_auth.cpp
  void count_grant(const ClientAddress& client, const GrantError* error);
  void post_token(Exchange& x);
  void post_revoke(Exchange& x);
  void get_jwks(Exchange& x);

  // api_keys.cpp
  void get_api_keys(Exchange& x);
  void post_api_key(Exchange& x);
  void get_api_key(Exchange& x, std::string_view id);
  void delete_api_key(Exchange& x, std::string_view id);
  void post_rotate(Exchange& x, std::string_view id);

  // api_status.cpp
  void get_docs(Exchange& x);
  void get_health(Exchange& x);
  void get_ready(Exchange& x);
  void get_metrics(Exchange& x);
  void get_open_api(Exchange& x);
  void get_problem(Exchange& x, std::string_view code);

  // api_console.cpp
  void answer_console(Exchange& x, const ConsoleArchive::File& file, std::string_view caching);
  void get_console(Exchange& x);
  void get_console_asset(Exchange& x, std::string_view name);

  ApiState& state_;
  Loop& loop_;
  const Port port_;
  RequestMetrics metrics_;
  DetectionParser parser_;
  UuidMint mint_;
  std::string body_, headers_;  ///< of answers; used from one call of answer() to the next
  Home home_;
  BatchHome batch_home_;
};

}  // namespace detection::http
