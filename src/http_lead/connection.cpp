#include "http/connection.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "detection/json_writer.hpp"

namespace detection::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kReadBytes = 16U << 10;
constexpr std::size_t kDrainBytesMost = 256U << 10;
constexpr std::chrono::seconds kDrainTime{2};
constexpr std::size_t kRequestIdBytesMost = 64;

std::string_view reason_of(unsigned status) {
  const auto text = beast_http::obsolete_reason(static_cast<beast_http::status>(status));
  return {text.data(), text.size()};
}

Method method_of(beast_http::verb verb) {
  if (verb == beast_http::verb::get) return Method::kGet;
  if (verb == beast_http::verb::head) return Method::kHead;
  if (verb == beast_http::verb::post) return Method::kPost;
  return Method::kOther;
}

bool usable_request_id(std::string_view text) {
  if (text.empty() || text.size() > kRequestIdBytesMost) return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
      return false;
  return true;
}

/// IMF-fixdate (RFC 9110 section 5.6.7), made once a second.
std::string_view http_date() {
  thread_local std::int64_t made_at = 0;
  thread_local std::array<char, 32> text{};
  const auto now = static_cast<std::time_t>(system_now().count / 1'000'000);
  if (now != made_at) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    made_at = now;
  }
  return text.data();
}

Error error_of(const error_code& problem) {
  if (problem == beast_http::error::header_limit || problem == beast_http::error::buffer_overflow)
    return {ErrorCode::kHeadersTooLarge, "the header is larger than this service takes", {}};
  if (problem == beast_http::error::body_limit)
    return {ErrorCode::kPayloadTooLarge, "the body is larger than this path takes", {}};
  return {ErrorCode::kMalformedRequest, "not a request of HTTP/1.1: " + problem.message(), {}};
}

std::string text_of(const beast_http::fields& fields, beast_http::field name) {
  const auto value = fields[name];
  return {value.data(), value.size()};
}

}  // namespace

void RequestMetrics::count(Method method, Route route, unsigned status, double seconds) {
  const auto m = static_cast<std::uint32_t>(method), r = static_cast<std::uint32_t>(route);
  const auto key = static_cast<std::uint32_t>((m * kRouteCount + r) * 1000 + status);
  auto found = totals_.find(key);
  if (found == totals_.end())
    found = totals_
                .emplace(key, metrics_.counter(telemetry::kHttpRequestsTotal,
                                               {method_label(method), route_template(route), std::to_string(status)}))
                .first;
  found->second.increment();
  auto& duration = durations_[m * kRouteCount + r];
  if (!duration)
    duration = metrics_.histogram(telemetry::kHttpRequestDurationSeconds, {method_label(method), route_template(route)});
  duration->observe(seconds);
}

EventThread::EventThread(const ServiceOptions& service_options, Routes& service_routes, const Rooms& rooms,
                         std::uint64_t seed)
    : options(service_options),
      routes(service_routes),
      log(rooms.log),
      context(seed, [this](std::function<void()> f) { asio::post(io, std::move(f)); }),
      request_metrics(rooms.metrics),
      in_progress(rooms.metrics.gauge(telemetry::kHttpRequestsInProgress)),
      connections_open(rooms.metrics.gauge(telemetry::kHttpConnections)),
      request_ids(seed ^ 0x9e3779b97f4a7c15ULL) {}

Connection::Connection(EventThread& thread, Socket socket, bool metrics_port)
    : thread_(thread), socket_(std::move(socket)), metrics_port_(metrics_port) {
  thread_.connections.insert(this);
  thread_.connections_open.add(1);
  thread_.connections_count->fetch_add(1);
}

Connection::~Connection() {
  thread_.connections.erase(this);
  thread_.connections_open.add(-1);
  thread_.connections_count->fetch_sub(1);
}

void Connection::start() {
  error_code ignored;
  socket_.set_option(Tcp::no_delay(true), ignored);
  next_request();
}

void Connection::refuse() {
  keep_alive_ = false;
  request_.path.clear();
  write(problem_response({ErrorCode::kStoreUnavailable, "too many connections", {}}, {}));
}

void Connection::next_request() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(thread_.options.header_bytes_most));
  parser_->body_limit(boost::none);  // by route, once that is known
  parser_->eager(false);
  too_large_ = false;
  state_ = input_.size() > 0 ? State::kHeader : State::kIdle;
  deadline_ = std::chrono::steady_clock::now() +
              (state_ == State::kIdle ? thread_.options.idle_timeout : thread_.options.header_timeout);
  if (state_ == State::kIdle && thread_.stopping) return close_gently();
  if (input_.size() > 0)
    feed();
  else
    read_more();
}

void Connection::read_more() {
  socket_.async_read_some(input_.prepare(kReadBytes), [self = shared_from_this()](error_code problem, std::size_t n) {
    if (problem) return self->kill();
    self->input_.commit(n);
    if (self->state_ == State::kIdle) {
      self->state_ = State::kHeader;
      self->deadline_ = std::chrono::steady_clock::now() + self->thread_.options.header_timeout;
    }
    self->feed();
  });
}

void Connection::feed() {
  while (input_.size() > 0 && !parser_->is_done()) {
    error_code problem;
    const auto used = parser_->put(input_.data(), problem);
    input_.consume(used);
    if (problem == beast_http::error::need_more) break;
    if (problem) return fail_request(error_of(problem));
    if (state_ == State::kHeader && parser_->is_header_done()) {
      if (!header_complete()) return;
    }
    if (used == 0) break;
  }
  if (state_ == State::kHeader && input_.size() > thread_.options.header_bytes_most)
    return fail_request({ErrorCode::kHeadersTooLarge, "the header is larger than this service takes", {}});
  if (parser_->is_done()) return dispatch();
  read_more();
}

/// Knows the route now: its limits hold for the body. False when the request was answered already.
bool Connection::header_complete() {
  const auto& message = parser_->get();
  const std::string_view target(message.target().data(), message.target().size());
  if (target.size() > thread_.options.target_bytes_most) {
    fail_request({ErrorCode::kUriTooLong, "the target is longer than this service takes", {}});
    return false;
  }
  const auto question = std::min(target.find('?'), target.size());
  request_.path = target.substr(0, question);
  request_.query = target.substr(std::min(question + 1, target.size()));
  request_.method = method_of(message.method());
  std::tie(request_.route, request_.parameter) = Routes::match(request_.path, metrics_port_);
  if (message.count(beast_http::field::content_length) > 0 && message.count(beast_http::field::transfer_encoding) > 0) {
    fail_request({ErrorCode::kMalformedRequest, "Content-Length and Transfer-Encoding exclude each other", {}});
    return false;
  }
  if (message.version() == 11 && message.count(beast_http::field::host) != 1) {
    fail_request({ErrorCode::kMalformedRequest, "a request of HTTP/1.1 needs one Host header", {}});
    return false;
  }
  const auto most = thread_.routes.body_bytes_most(request_.method, request_.route);
  parser_->body_limit(most);
  if (parser_->content_length() && *parser_->content_length() > most) {
    fail_request({ErrorCode::kPayloadTooLarge,
                  "the body may have at most " + std::to_string(most) + " bytes on this path", {}});
    return false;
  }
  parser_->eager(true);
  state_ = State::kBody;
  deadline_ = std::chrono::steady_clock::now() + thread_.options.body_timeout;
  if (beast_http::token_list(message[beast_http::field::expect]).exists("100-continue") && !parser_->is_done() &&
      input_.size() == 0)
    send_continue();
  return true;
}

void Connection::send_continue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  // A line of 25 bytes into an empty send buffer: it goes whole or the connection is dead anyway.
  error_code ignored;
  asio::write(socket_, asio::buffer(kContinue), ignored);
}

void Connection::dispatch() {
  auto& message = parser_->get();
  state_ = State::kHandling;
  handled_at_ = std::chrono::steady_clock::now();
  keep_alive_ = message.keep_alive();
  head_ = request_.method == Method::kHead;
  request_.received = system_now();
  request_.metrics_port = metrics_port_;
  request_.authorization = text_of(message, beast_http::field::authorization);
  request_.content_type = text_of(message, beast_http::field::content_type);
  request_.content_encoding = text_of(message, beast_http::field::content_encoding);
  request_.accept = text_of(message, beast_http::field::accept);
  const auto key = message["Idempotency-Key"];
  request_.idempotency_key.assign(key.data(), key.size());
  const auto id = message["X-Request-ID"];
  if (usable_request_id({id.data(), id.size()}))
    request_.request_id.assign(id.data(), id.size());
  else
    request_.request_id = to_string(thread_.request_ids.mint(request_.received));
  request_.body = std::move(message.body());
  counted_ = true;
  thread_.in_progress.add(1);
  thread_.routes.handle(request_, thread_.context,
                        [self = shared_from_this()](Response response) { self->answer(std::move(response)); });
}

void Connection::answer(Response response) {
  thread_.in_progress.add(-1);
  counted_ = false;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - handled_at_).count();
  thread_.request_metrics.count(request_.method, request_.route, response.status, seconds);
  if (response.status >= 500)
    thread_.log.warning("request_failed", "a request was answered with an error of ours",
                        {{"request_id", request_.request_id},
                         {"route", route_template(request_.route)},
                         {"status", response.status},
                         {"duration_ms", seconds * 1000}});
  write(std::move(response));
}

/// Answers a request that was not understood and closes: what follows cannot be told apart from it.
void Connection::fail_request(const Error& error) {
  keep_alive_ = false;
  head_ = false;
  auto response = problem_response(error, request_.path);
  thread_.request_metrics.count(request_.method, request_.route, response.status, 0);
  write(std::move(response));
}

void Connection::write(Response response) {
  const bool close = !keep_alive_ || response.close || thread_.stopping || thread_.routes.draining();
  output_.clear();
  output_.reserve(response.body.size() + response.headers.size() + 256);
  output_.append("HTTP/1.1 ");
  json::append_integer(output_, response.status);
  output_.append(" ").append(reason_of(response.status)).append("\r\nDate: ").append(http_date());
  output_.append("\r\nContent-Type: ").append(response.content_type).append("\r\nContent-Length: ");
  json::append_integer(output_, static_cast<std::int64_t>(response.body.size()));
  if (!request_.request_id.empty()) output_.append("\r\nX-Request-ID: ").append(request_.request_id);
  output_.append("\r\nCache-Control: no-store\r\n").append(response.headers);
  if (close) output_.append("Connection: close\r\n");
  output_.append("\r\n");
  if (!head_) output_.append(response.body);
  state_ = State::kWriting;
  deadline_ = std::chrono::steady_clock::now() + thread_.options.write_timeout;
  asio::async_write(socket_, asio::buffer(output_),
                    [self = shared_from_this(), close](error_code problem, std::size_t) {
                      if (problem) return self->kill();
                      if (close) return self->close_gently();
                      self->next_request();
                    });
}

/// Closing with unread input would reset the answer away: shut our side, read off what comes, then close.
void Connection::close_gently() {
  state_ = State::kClosing;
  deadline_ = std::chrono::steady_clock::now() + kDrainTime;
  error_code ignored;
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
  drain_input();
}

void Connection::drain_input() {
  input_.clear();
  socket_.async_read_some(input_.prepare(kReadBytes), [self = shared_from_this()](error_code problem, std::size_t n) {
    self->drained_ += n;
    if (problem || self->drained_ > kDrainBytesMost) return self->kill();
    self->drain_input();
  });
}

void Connection::check_deadline(SteadyTime now) {
  if (state_ == State::kHandling || now < deadline_) return;
  if (state_ == State::kHeader || state_ == State::kBody) {
    error_code ignored;
    socket_.cancel(ignored);
    // The cancelled read ends in kill(): the answer must own the connection before that.
    auto self = shared_from_this();
    const auto part = state_ == State::kHeader ? "header" : "body";
    state_ = State::kWriting;
    return fail_request({ErrorCode::kTimeout, std::string("the ") + part + " did not arrive in time", {}});
  }
  kill();
}

void Connection::wind_down() {
  if (state_ == State::kIdle) kill();
}

void Connection::kill() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace detection::http
