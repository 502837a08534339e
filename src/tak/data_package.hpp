#pragma once
// A connection data package, as TAK servers hand it out: a zip with a preference file and PKCS#12 files. Nothing is
// unpacked by the names in it.

#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "tak/credentials_folder.hpp"

namespace detection::tak {

struct PackageLimits {
  std::size_t zip_bytes = 16u << 20;
  std::size_t entries = 256;
  std::size_t entry_bytes = 1u << 20;  ///< unpacked, of an entry that is read
  std::size_t name_bytes = 255;
};

/// What the preference file says.
struct ConnectionPreference {
  struct Stream {
    std::string url;  ///< tls://host:8089
    std::string description;
  };
  std::vector<Stream> streams;                     ///< in its order, those that we can speak
  std::string client_file, client_password;        ///< base name; of the first stream, else of all
  std::string authority_file, authority_password;  ///< likewise
};
/// Bounded by entry_bytes; kConfiguration in words.
[[nodiscard]] Result<ConnectionPreference> parse_connection_preference(std::string_view xml);

/// The name that a MANIFEST/manifest.xml gives its package; empty: none.
[[nodiscard]] Result<std::string> parse_package_manifest(std::string_view xml);

struct ConnectionPackage {
  std::string name;       ///< of the manifest; may be empty
  CredentialFiles files;  ///< tls.crt, tls.key, ca.crt, endpoint: what the package has of them
  std::string endpoint;   ///< the URL in it
  std::vector<ConnectionPreference::Stream> others;  ///< further servers in it
  std::string subject;                               ///< of the client certificate; empty: none, so enrolment is next
  UtcMicros expires{};
};
/// kConfiguration says what is wrong with the package: no zip, over a limit, names that would leave a folder, no
/// preference file, a file that is named and not there, a password that does not fit.
[[nodiscard]] Result<ConnectionPackage> read_data_package(std::string_view zip, const PackageLimits& limits = {});

}  // namespace detection::tak
