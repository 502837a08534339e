#pragma once
// The routes: who may call them, what they take, what they answer. One Api for each event thread and port; what the
// threads share is in ApiState.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/request_metrics.hpp"
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

  /// What the acceptance of a detection says about its delivery.
  [[nodiscard]] const store::DeliveryStatus& at_acceptance(store::Disposition disposition) const;

  const ServiceOptions options;
  const Rooms rooms;
  const SharedMetrics metrics;
  std::array<store::DeliveryStatus, 3> accepted;  ///< by Disposition
  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::atomic<bool> draining{false}, complete{false};
  std::atomic<std::size_t> jobs_out{0};  ///< with the store
  const Server* server = nullptr;
  Workers workers;
  Workers scraper;  ///< so that a scrape does not wait behind batches
};

class Api final : public Handler {
 public:
  Api(ApiState& state, Loop& loop, Port port);
  ~Api() override;

  [[nodiscard]] std::expected<std::size_t, Refusal> head(Exchange& exchange) override;
  void request(Exchange& exchange) override;
  void answered(const Exchange& exchange, unsigned status) override;

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
    std::string body;
  };
  using Reading = std::move_only_function<Result<Rendered>()>;

  // api.cpp
  [[nodiscard]] std::optional<Refusal> authenticate(Exchange& x, security::Scope scope);
  [[nodiscard]] std::optional<Refusal> negotiate(Exchange& x, Route route);
  void refuse(Exchange& x, Error error);
  void defer(Exchange& x);

  // api_post.cpp
  [[nodiscard]] Result<store::Acceptance> prepare(const Exchange& x, DetectionParser& parser, UuidMint& mint) const;
  void post_detection(Exchange& x);
  void submit(Exchange& x, Result<store::Acceptance> acceptance);
  void committed_home();
  void answer_commit(store::CommitJob& job);
  void answer_detection(Exchange& x, unsigned status, const LocatedDetection& located, store::Disposition disposition);

  // api_batch.cpp
  void post_batch(Exchange& x);
  void run_batch(Exchange& x, Workers::Bench& bench);
  void answer_batch(Exchange& x, std::vector<BatchSlot> slots, std::unique_ptr<store::CommitJob> job);
  void refuse_later(Exchange& x, Error error);

  // api_read.cpp
  void read(Exchange& x, Workers& workers, Reading reading);
  void get_list(Exchange& x);
  void get_one(Exchange& x, const Uuid& id);
  void get_cot(Exchange& x, const Uuid& id);
  void get_audit(Exchange& x, const Uuid& id);
  void get_delivery(Exchange& x);

  // api_status.cpp
  void get_health(Exchange& x);
  void get_ready(Exchange& x);
  void get_metrics(Exchange& x);
  void get_open_api(Exchange& x);
  void get_problem(Exchange& x, std::string_view code);

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
