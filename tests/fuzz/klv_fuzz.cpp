// Bytes from outside as a KLV stream: nothing is read beyond them, every packet lies within them, every decoded number
// is in its range.

#include <cstdlib>

#include "klv/packets.hpp"
#include "klv/st0601.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void in_range(const std::optional<double>& value, double low, double high) {
  if (value) require(*value >= low - 1e-6 && *value <= high + 1e-6);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace detection::klv;
  PacketReader reader({data, size});
  while (const auto packet = reader.next()) {
    require(packet->value.empty() ||
            (packet->value.data() >= data && packet->value.data() + packet->value.size() <= data + size));
    const auto set = decode(*packet);
    in_range(set.sensor_lat_deg, -90, 90);
    in_range(set.sensor_lon_deg, -180, 180);
    in_range(set.platform_heading_deg, 0, 360);
    in_range(set.sensor_hae_m, -900, 40'000);
    in_range(set.slant_range_m, 0, 5'000'000);
    in_range(set.horizontal_fov_deg, 0, 180);
  }
  require(reader.skipped_bytes() <= size);
  // The items of anything at all.
  ItemReader items({data, size});
  while (items.next()) {
  }
  return 0;
}
