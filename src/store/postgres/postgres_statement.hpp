#pragma once
// A statement of a PostgresConnection; see there.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/postgres/binary_format.hpp"
#include "store/postgres/link.hpp"
#include "store/sql/connection.hpp"

namespace detection::store::postgres {

class PostgresConnection;

class PostgresStatement final : public sql::Statement {
 public:
  /// `kept`: prepared by name at the server; else anew for each execution.
  PostgresStatement(PostgresConnection& connection, std::string_view sql, bool kept);

  void bind(int index, std::int64_t value) override;
  void bind(int index, double value) override;
  void bind(int index, std::string_view text) override;
  void bind(int index, std::span<const std::uint8_t> bytes) override;
  void bind_null(int index) override;
  /// The buffer must neither change nor end before the execution.
  void bind(int index, ArrayBuffer& values);
  [[nodiscard]] Result<bool> step() override;
  void reset() noexcept override;

  [[nodiscard]] std::int64_t integer(int column) const noexcept override;
  [[nodiscard]] double real(int column) const noexcept override;
  [[nodiscard]] std::string_view text(int column) const noexcept override;
  [[nodiscard]] std::span<const std::uint8_t> bytes(int column) const noexcept override;
  [[nodiscard]] bool is_null(int column) const noexcept override;
  /// Of the whole result, once it is executed.
  [[nodiscard]] int rows() const noexcept;

 private:
  friend class PostgresConnection;
  struct Parameter {
    unsigned type = 0;
    const char* data = nullptr;  ///< null: `number`, or NULL if size is negative
    int size = -1;
    std::array<char, 8> number{};
  };
  struct Variant {
    std::string name;
    std::vector<unsigned> types;
  };
  [[nodiscard]] Parameter* parameter(int index);
  void bind_raw(int index, unsigned type, const char* data, std::size_t size);
  void refuse(std::string_view why);
  /// The prepared one that takes what is bound, or none.
  [[nodiscard]] const Variant* fitting() const;
  /// The types to prepare for: those bound, and for NULLs those that were bound before.
  [[nodiscard]] std::vector<unsigned> types_to_prepare();

  PostgresConnection& connection_;
  std::string sql_;
  bool kept_;
  std::vector<Parameter> parameters_;
  std::vector<unsigned> known_types_;
  std::vector<Variant> variants_;
  std::optional<Variant> pending_;  ///< sent to be prepared, not answered yet
  std::optional<Error> refusal_;
  ResultPtr result_;
  int row_ = -1;
};

}  // namespace detection::store::postgres
