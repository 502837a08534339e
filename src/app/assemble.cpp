#include "app/assemble.hpp"

#include <fstream>
#include <iterator>
#include <set>

#include "tak/credentials.hpp"

namespace detection::app {
namespace {

constexpr std::streamsize kAssetBytesMost = 512 << 20;

Result<std::string> read_asset(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return fail(ErrorCode::kConfiguration, path + " cannot be read");
  const std::streamsize size = file.tellg();
  if (size < 0 || size > kAssetBytesMost) return fail(ErrorCode::kConfiguration, path + " is larger than 512 MiB");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(bytes.data(), size)) return fail(ErrorCode::kConfiguration, path + " cannot be read");
  return bytes;
}

void load_geoid(const std::string& path, Assets& assets) {
  const auto bytes = read_asset(path);
  if (!bytes) {
    assets.geoid_problem = bytes.error().detail;
    return;
  }
  auto geoid = geolocate::Geoid::parse(std::as_bytes(std::span(*bytes)));
  if (geoid)
    assets.geoid.emplace(std::move(*geoid));
  else
    assets.geoid_problem = path + ": " + geoid.error().detail;
}

}  // namespace

Result<std::unique_ptr<Assets>> load_assets(const Configuration& configuration) {
  auto assets = std::make_unique<Assets>();
  load_geoid(configuration.text("geoid-file"), *assets);
  const char affiliation = configuration.text("cot-affiliation").front();
  const auto path = configuration.text("class-map");
  if (path.empty()) {
    assets->classes = std::make_unique<cot::ClassMap>(cot::ClassMap::built_in(affiliation));
    return assets;
  }
  const auto text = read_asset(path);
  if (!text) return fail(ErrorCode::kConfiguration, "--class-map: " + text.error().detail);
  auto map = cot::ClassMap::parse(*text, affiliation);
  if (!map) return fail(ErrorCode::kConfiguration, "--class-map " + path + ": " + map.error().detail);
  assets->classes = std::make_unique<cot::ClassMap>(std::move(*map));
  return assets;
}

pipeline::AcceptorSettings acceptor_settings(const Configuration& configuration, const Assets& assets) {
  pipeline::AcceptorSettings settings;
  settings.geolocate.max_range_m = configuration.number("max-range");
  settings.geolocate.geoid = assets.geoid ? &*assets.geoid : nullptr;
  // The checks of the table have accepted these texts already.
  if (const auto accuracy = parse_accuracy(configuration.text("accuracy")))
    settings.geolocate.accuracy = merge(settings.geolocate.accuracy, *accuracy);
  for (const auto& text : configuration.list("camera-accuracy")) {
    const auto colon = text.rfind(':');
    if (const auto accuracy = parse_accuracy(std::string_view(text).substr(colon + 1)))
      settings.camera_accuracy.insert_or_assign(text.substr(0, colon), *accuracy);
  }
  settings.flags = {configuration.number("green-ce90"), configuration.number("red-ce90"),
                    configuration.number("green-confidence"), configuration.number("red-confidence")};
  settings.red = configuration.text("red-policy") == "send" ? pipeline::RedPolicy::kSend : pipeline::RedPolicy::kHold;
  settings.uid_prefix = configuration.text("cot-uid-prefix");
  settings.classes = assets.classes.get();
  return settings;
}

cot::EventOptions event_options(const Configuration& configuration) {
  cot::EventOptions options;
  options.error =
      configuration.text("cot-error") == "sigma" ? cot::ErrorConvention::kSigma : cot::ErrorConvention::kCe90;
  options.affiliation = configuration.text("cot-affiliation").front();
  options.stale = configuration.duration("cot-stale");
  return options;
}

security::AuthorityOptions authority_options(const Configuration& configuration) {
  security::AuthorityOptions options;
  options.key_file = configuration.text("jwt-key-file");
  options.key_directory = configuration.text("jwt-key-dir");
  options.signing_key = configuration.text("jwt-signing-key");
  options.issuers = configuration.list("jwt-issuer");
  options.audiences = configuration.list("jwt-audience");
  options.token_life = std::chrono::duration_cast<std::chrono::seconds>(configuration.duration("jwt-token-life"));
  return options;
}

store::TombstoneSigner tombstone_signer(const security::Authority& authority) {
  return {
      [&authority](std::string_view text) { return authority.sign(text); },
      [&authority](std::string_view text, std::string_view signature) { return authority.verify(text, signature); }};
}

Result<std::vector<pipeline::SinkSetup>> sink_setups(const Configuration& configuration) {
  std::vector<pipeline::SinkSetup> setups;
  std::set<std::string> names;
  int unnamed = 0;
  const auto credentials = configuration.text("tak-credentials");
  auto texts = configuration.list("tak-sink");
  if (texts.empty() && !credentials.empty()) {
    // A sink has its own way to wait for good credentials; without their endpoint there is none.
    const auto loaded = tak::load_credentials(credentials, system_now());
    if (!loaded) return fail(ErrorCode::kConfiguration, "--tak-credentials: " + loaded.error().detail);
    if ((*loaded)->endpoint.empty())
      return fail(ErrorCode::kConfiguration,
                  "--tak-credentials: " + credentials + " has no file 'endpoint', and no --tak-sink is given");
    texts.push_back((*loaded)->endpoint);
  }
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    const bool named = equals < text.find("://");
    auto setup = pipeline::parse_sink(std::string_view(text).substr(named ? equals + 1 : 0));
    if (!setup) return std::unexpected(setup.error());
    auto& name = setup->sink.name;
    if (named)
      name = text.substr(0, equals);
    else if (++unnamed > 1)
      name = "tak-" + std::to_string(unnamed);
    if (!names.insert(name).second)
      return fail(ErrorCode::kConfiguration, "--tak-sink: two sinks are called '" + name + "'");
    if (setup->sink.tls.credentials.empty()) setup->sink.tls.credentials = credentials;
    setups.push_back(std::move(*setup));
  }
  return setups;
}

store::QueueLimits queue_limits(const Configuration& configuration) {
  // The checks of the table have accepted these texts already; "off" is no number.
  return {pipeline::parse_bytes(configuration.text("queue-max-items")).value_or(0),
          pipeline::parse_bytes(configuration.text("queue-max-bytes")).value_or(0)};
}

pipeline::AnnouncerOptions announcer_options(const Configuration& configuration) {
  pipeline::AnnouncerOptions options;
  if (configuration.text("announce") != "off") options.every = configuration.duration("announce");
  if (!configuration.text("announce-position").empty())
    options.position = parse_position(configuration.text("announce-position"));
  return options;
}

pipeline::CourierOptions courier_options(const pipeline::SinkSetup& setup, const Configuration& configuration) {
  const auto limits = queue_limits(configuration);
  pipeline::CourierOptions options;
  options.sink = setup.sink;
  options.event = event_options(configuration);
  options.filter = setup.filter;
  options.keep = setup.keep;
  options.rate_per_s = setup.rate_per_s;
  options.limits = {setup.queue_items.value_or(limits.items), setup.queue_bytes.value_or(limits.bytes)};
  return options;
}

}  // namespace detection::app
