#pragma once
// Beast's HTTP grammar, with callbacks of ours: only the header fields that somebody reads are kept, and no field
// costs an allocation. For the server's own .cpp files.

#include <boost/beast/http/basic_parser.hpp>

#include <array>
#include <string>
#include <string_view>

#include "http/exchange.hpp"

namespace detection::http {

class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  /// Texts of the head go into `text`, the body into `body`, both cleared by the caller.
  RequestParser(std::string& text, std::string& body) : text_(text), body_(body) {
    eager(false);
    body_limit(boost::none);
    header_limit(0xffff'ffff);  // the connection counts for itself, over all pieces
  }

  /// Once is_header_done(): what it said. An error sentence for heads that the grammar takes and the RFCs do not.
  [[nodiscard]] std::string_view head(RequestHead& to) const;

  /// Bytes of the body are counted, not kept.
  void discard_body() noexcept { discard_ = true; }
  void body_most(std::uint64_t most) noexcept { body_most_ = most; }
  [[nodiscard]] bool body_too_large() const noexcept { return body_bytes_ > body_most_; }
  [[nodiscard]] bool expects_continue() const noexcept { return expect_continue_; }
  [[nodiscard]] bool version_is_10() const noexcept { return version_ == 10; }
  [[nodiscard]] bool has_request_line() const noexcept { return version_ != 0; }
  [[nodiscard]] std::size_t target_bytes() const noexcept { return target_.length; }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;
  using verb = boost::beast::http::verb;
  using field = boost::beast::http::field;
  using chunk_extensions = string_view;

  struct Piece {
    std::size_t offset = 0, length = 0;
    unsigned times = 0;
  };
  enum Kept : std::size_t {
    kAuthorization,
    kContentType,
    kContentEncoding,
    kAccept,
    kIdempotencyKey,
    kRequestId,
    kTraceParent,
    kApiKey,
    kIfNoneMatch,
    kLastEventId,
    kOrigin,
    kAcceptEncoding,
    kRequestedMethod,
    kKept
  };

  void on_request_impl(verb method, string_view method_text, string_view target, int version, error_code& ec) override;
  void on_field_impl(field name, string_view name_text, string_view value, error_code& ec) override;
  void on_header_impl(error_code& ec) override { ec = {}; }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code& ec) override { ec = {}; }
  std::size_t on_body_impl(string_view bytes, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t size, string_view extensions, error_code& ec) override;
  std::size_t on_chunk_body_impl(std::uint64_t remain, string_view bytes, error_code& ec) override;
  void on_finish_impl(error_code& ec) override { ec = {}; }
  void on_response_impl(int, string_view, int, error_code&) override {}

  void keep(Kept which, string_view value);
  void keep_unknown(string_view name, string_view value);
  [[nodiscard]] std::string_view text(const Piece& piece) const {
    return std::string_view(text_).substr(piece.offset, piece.length);
  }

  /// Of a field that means nothing when it is given twice.
  [[nodiscard]] std::string_view single(Kept which) const {
    return kept_[which].times == 1 ? text(kept_[which]) : std::string_view{};
  }

  std::string& text_;
  std::string& body_;
  std::string forwarded_for_;  ///< by itself: however many lines, it is no longer than they are
  std::array<Piece, kKept> kept_{};
  Piece target_{};
  Method method_ = Method::kOther;
  int version_ = 0;
  unsigned hosts_ = 0, codings_ = 0;
  bool coding_is_chunked_ = true;
  bool expect_continue_ = false, expect_other_ = false;
  bool discard_ = false;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t body_most_ = 0;
};

}  // namespace detection::http
