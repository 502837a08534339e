#include "geolocate/locate_batch.hpp"

#include <algorithm>
#include <cmath>

#include "geolocate/batch_kernel.hpp"
#include "geolocate/circular_error.hpp"
#include "geolocate/limits.hpp"

namespace detection::geolocate {
namespace {

// The kernel's reduction of angles is exact that far; more is legal and takes the single form.
constexpr double kKernelTurnsDeg = 3600;
constexpr double kKernelHeightM = 500'000;

template <class T>
const T& item(std::span<const T> values, std::size_t i) noexcept {
  return values.size() == 1 ? values.front() : values[i];
}

bool lengths_agree(const BatchItems& in, const BatchFixes& out) noexcept {
  const std::size_t count = in.x_px.size();
  const auto one_or_each = [count](std::size_t size) { return size == count || size == 1; };
  const auto each = [count](std::size_t size) { return size == count; };
  return each(in.y_px.size()) && one_or_each(in.lat_deg.size()) && one_or_each(in.lon_deg.size()) &&
         one_or_each(in.hae_m.size()) && one_or_each(in.heading_deg.size()) && one_or_each(in.pitch_deg.size()) &&
         one_or_each(in.roll_deg.size()) && one_or_each(in.lens.size()) && one_or_each(in.target.size()) &&
         one_or_each(in.accuracy.size()) && each(out.status.size()) && each(out.lat_deg.size()) &&
         each(out.lon_deg.size()) && each(out.hae_m.size()) && each(out.slant_range_m.size()) &&
         each(out.grazing_deg.size()) && each(out.ce90_m.size()) && each(out.le90_m.size()) &&
         each(out.grazing.size()) && std::ranges::all_of(out.covariance_enu_m2, [&](auto s) { return each(s.size()); });
}

class Batch {
 public:
  Batch(const BatchItems& in, double max_range_m, const BatchFixes& out) noexcept
      : in_(in), max_range_m_(max_range_m), out_(out) {}

  /// The single form, for one item.
  void locate_one(std::size_t i) noexcept {
    const Camera camera{.position = {item(in_.lat_deg, i), item(in_.lon_deg, i), item(in_.hae_m, i)},
                        .attitude = {item(in_.heading_deg, i), item(in_.pitch_deg, i), item(in_.roll_deg, i)},
                        .lens = item(in_.lens, i)};
    const auto fix =
        locate(camera, {in_.x_px[i], in_.y_px[i]}, item(in_.target, i), item(in_.accuracy, i), max_range_m_);
    const Fix nothing{.ce90_m = 0, .le90_m = 0};
    const Fix& shown = fix ? *fix : nothing;
    out_.status[i] = fix ? kBatchLocated : static_cast<std::uint8_t>(fix.error());
    out_.lat_deg[i] = shown.position.lat_deg;
    out_.lon_deg[i] = shown.position.lon_deg;
    out_.hae_m[i] = shown.position.hae_m;
    out_.slant_range_m[i] = shown.slant_range_m;
    out_.grazing_deg[i] = shown.grazing_deg;
    for (std::size_t c = 0; c < 6; ++c) out_.covariance_enu_m2[c][i] = shown.covariance_enu_m2[c];
    out_.ce90_m[i] = shown.ce90_m.value_or(kUnboundedM);
    out_.le90_m[i] = shown.le90_m.value_or(kUnboundedM);
    out_.grazing[i] = shown.grazing ? 1 : 0;
  }

  void locate_block(KernelBlock& block, std::size_t first, std::size_t count, VectorUnits units) noexcept {
    fill(block, first, count);
    run_kernel(block, units);
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t i = first + k;
      if (block.sure[k] == 0 || !plain(i, block, k) || !(block.range_m[k] <= max_range_m_)) {
        locate_one(i);
        continue;
      }
      const Target& target = item(in_.target, i);
      const double sigma_u_m = block.ground_m[k];
      out_.status[i] = kBatchLocated;
      out_.lat_deg[i] = block.point_lat_deg[k];
      out_.lon_deg[i] = block.point_lon_deg[k] <= -180 ? 180 : block.point_lon_deg[k];
      out_.hae_m[i] = target.ground_hae_m;
      out_.slant_range_m[i] = block.range_m[k];
      out_.grazing_deg[i] = block.grazing_deg[k];
      out_.covariance_enu_m2[0][i] = block.ee[k];
      out_.covariance_enu_m2[1][i] = block.nn[k];
      out_.covariance_enu_m2[2][i] = sigma_u_m * sigma_u_m;
      out_.covariance_enu_m2[3][i] = block.en[k];
      out_.covariance_enu_m2[4][i] = block.eu[k];
      out_.covariance_enu_m2[5][i] = block.nu[k];
      out_.ce90_m[i] = block.ce90_m[k];
      out_.le90_m[i] = target.hae_known ? kLe90PerSigma * sigma_u_m : kUnboundedM;
      out_.grazing[i] = 0;
    }
  }

 private:
  /// Copies one array; the lanes behind the last item repeat it.
  static void copy(std::span<const double> from, std::size_t first, std::size_t count, Lane& to) noexcept {
    if (from.size() == 1) {
      std::fill_n(to, kBlock, from.front());
      return;
    }
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(first), count, to);
    std::fill(to + count, to + kBlock, to[count - 1]);
  }

  template <class T, class Set>
  static void each(std::span<const T> from, std::size_t first, std::size_t count, Set set) noexcept {
    for (std::size_t k = 0; k < kBlock; ++k) set(k, item(from, first + std::min(k, count - 1)));
  }

  void fill(KernelBlock& block, std::size_t first, std::size_t count) const noexcept {
    copy(in_.lat_deg, first, count, block.lat_deg);
    copy(in_.lon_deg, first, count, block.lon_deg);
    copy(in_.hae_m, first, count, block.hae_m);
    copy(in_.heading_deg, first, count, block.heading_deg);
    copy(in_.pitch_deg, first, count, block.pitch_deg);
    copy(in_.roll_deg, first, count, block.roll_deg);
    copy(in_.x_px, first, count, block.x_px);
    copy(in_.y_px, first, count, block.y_px);
    each(in_.lens, first, count, [&block](std::size_t k, const Intrinsics& lens) {
      block.fx_px[k] = lens.fx_px;
      block.fy_px[k] = lens.fy_px;
      block.cx_px[k] = lens.cx_px;
      block.cy_px[k] = lens.cy_px;
    });
    each(in_.target, first, count,
         [&block](std::size_t k, const Target& target) { block.ground_hae_m[k] = target.ground_hae_m; });
    each(in_.accuracy, first, count, [&block](std::size_t k, const Accuracy& accuracy) {
      block.horizontal_m[k] = accuracy.horizontal_m;
      block.vertical_m[k] = accuracy.vertical_m;
      block.ground_m[k] = accuracy.ground_m;
      block.heading_sigma_deg[k] = accuracy.heading_deg;
      block.pitch_sigma_deg[k] = accuracy.pitch_deg;
      block.roll_sigma_deg[k] = accuracy.roll_deg;
      block.focal_percent[k] = accuracy.focal_percent;
      block.pixel_px[k] = accuracy.pixel_px;
    });
  }

  /// Whether an item is of the kernel's kind: what the single form would refuse must not be accepted here.
  [[nodiscard]] bool plain(std::size_t i, const KernelBlock& b, std::size_t k) const noexcept {
    const Accuracy& accuracy = item(in_.accuracy, i);
    const auto within = [](double v, double low, double high) { return v >= low && v <= high; };
    return item(in_.lens, i).distortion.model == DistortionModel::kNone &&
           item(in_.target, i).source != PositionSource::kSlantRange && within(b.lat_deg[k], -90, 90) &&
           within(b.lon_deg[k], -kKernelTurnsDeg, kKernelTurnsDeg) &&
           within(b.heading_deg[k], -kKernelTurnsDeg, kKernelTurnsDeg) &&
           within(b.pitch_deg[k], -kKernelTurnsDeg, kKernelTurnsDeg) &&
           within(b.roll_deg[k], -kKernelTurnsDeg, kKernelTurnsDeg) &&
           within(b.hae_m[k], kLowestHaeM, kKernelHeightM) && within(b.ground_hae_m[k], kLowestHaeM, kKernelHeightM) &&
           within(b.fx_px[k], 1e-3, kLongestFocalPx) && within(b.fy_px[k], 1e-3, kLongestFocalPx) &&
           within(accuracy.horizontal_m, 0, kWorstSigma) && within(accuracy.vertical_m, 0, kWorstSigma) &&
           within(accuracy.ground_m, 0, kWorstSigma) && within(accuracy.heading_deg, 0, kWorstSigma) &&
           within(accuracy.pitch_deg, 0, kWorstSigma) && within(accuracy.roll_deg, 0, kWorstSigma) &&
           within(accuracy.focal_percent, 0, kWorstSigma) && within(accuracy.pixel_px, 0, kWorstSigma) &&
           within(accuracy.slant_range_m, 0, kWorstSigma) && max_range_m_ > 0;
  }

  const BatchItems& in_;
  double max_range_m_;
  const BatchFixes& out_;
};

}  // namespace

bool locate_batch(const BatchItems& items, double max_range_m, const BatchFixes& fixes, VectorUnits units) noexcept {
  if (!lengths_agree(items, fixes)) return false;
  const std::size_t count = items.x_px.size();
  Batch batch(items, max_range_m, fixes);
  if (units == VectorUnits::kScalar) {
    for (std::size_t i = 0; i < count; ++i) batch.locate_one(i);
    return true;
  }
  KernelBlock block;
  for (std::size_t first = 0; first < count; first += kBlock) {
    batch.locate_block(block, first, std::min(kBlock, count - first), units);
  }
  return true;
}

}  // namespace detection::geolocate
