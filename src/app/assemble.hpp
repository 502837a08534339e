#pragma once
// From the configuration to the settings of the rooms, shared by the commands that locate.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/options.hpp"
#include "cot/class_map.hpp"
#include "cot/event.hpp"
#include "geolocate/geoid.hpp"
#include "pipeline/acceptor.hpp"
#include "pipeline/announcer.hpp"
#include "pipeline/courier.hpp"
#include "pipeline/sink_settings.hpp"
#include "security/authority.hpp"

namespace detection::app {

/// What the settings point to; outlives them.
struct Assets {
  std::optional<geolocate::Geoid> geoid;
  std::string geoid_problem;  ///< why there is none
  std::unique_ptr<cot::ClassMap> classes;
};

/// A geoid that cannot be read is no error (only `msl` needs it); a class map that is stated and wrong is one.
[[nodiscard]] Result<std::unique_ptr<Assets>> load_assets(const Configuration& configuration);
[[nodiscard]] pipeline::AcceptorSettings acceptor_settings(const Configuration& configuration, const Assets& assets);
[[nodiscard]] cot::EventOptions event_options(const Configuration& configuration);
[[nodiscard]] security::AuthorityOptions authority_options(const Configuration& configuration);
/// `authority` must outlive the store that gets it.
[[nodiscard]] store::TombstoneSigner tombstone_signer(const security::Authority& authority);
/// Unnamed sinks are called tak, tak-2, ...; two of one name are an error.
[[nodiscard]] Result<std::vector<pipeline::SinkSetup>> sink_setups(const Configuration& configuration);
/// Of sinks without limits of their own.
[[nodiscard]] store::QueueLimits queue_limits(const Configuration& configuration);
[[nodiscard]] pipeline::AnnouncerOptions announcer_options(const Configuration& configuration);
[[nodiscard]] pipeline::CourierOptions courier_options(const pipeline::SinkSetup& setup,
                                                       const Configuration& configuration);

}  // namespace detection::app
