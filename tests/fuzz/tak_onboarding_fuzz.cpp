// Anything at all as what a person or a server hands over when a feeder is set up; the first byte chooses the reader.

#include <cstdlib>
#include <string>

#include "tak/credentials.hpp"
#include "tak/data_package.hpp"
#include "tak/enrolment.hpp"

namespace {

using namespace detection;
using namespace detection::tak;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
bool refused(const Result<T>& result) {
  if (!result) require(result.error().code == ErrorCode::kConfiguration && !result.error().detail.empty());
  return !result;
}

const SigningRequest& request() {
  static const SigningRequest made = *make_signing_request("feeder", {});
  return made;
}

void config(std::string_view text) {
  const auto entries = parse_certificate_config(text);
  if (refused(entries)) return;
  require(entries->size() <= 32);
  for (const auto& entry : *entries) require(entry.name != "CN");
}

void preference(std::string_view text) {
  const auto read = parse_connection_preference(text);
  if (refused(read)) return;
  require(!read->streams.empty());
  for (const auto& stream : read->streams) require(!refused(endpoint_url(stream.url, true)));
  for (const auto* name : {&read->client_file, &read->authority_file})
    require(name->find_first_of("/\\") == std::string::npos);
}

void address(std::string_view text) {
  const auto read = parse_enrolment_address(text);
  if (refused(read)) return;
  const auto again = parse_enrolment_address(read->base_url());
  require(again && again->host == read->host && again->port == read->port);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0: config(text); break;
    case 1: preference(text); break;
    case 2: (void)refused(parse_package_manifest(text)); break;
    case 3:
      // Nobody signs our key here: whatever is said, it is no certificate for it.
      require(refused(read_enrolment_answer(text, request(), UtcMicros{0})));
      break;
    case 4: (void)refused(read_data_package(text)); break;
    default: address(text); break;
  }
  return 0;
}
