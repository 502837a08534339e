#pragma once
// A store around another, for tests that change one of its answers.

#include <memory>
#include <utility>

#include "store/forwarding_store.hpp"

namespace detection::http {

class ForwardingStore : public store::ForwardingStore {
 public:
  explicit ForwardingStore(std::unique_ptr<store::Store> inner) : inner_(std::move(inner)) {}

 protected:
  [[nodiscard]] store::Store* target() const noexcept override { return inner_.get(); }
  std::unique_ptr<store::Store> inner_;
};

}  // namespace detection::http
