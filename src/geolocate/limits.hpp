#pragma once
// What the core accepts; beyond these an input is a mistake, not a place. Requests are held to narrower rules before.

namespace detection::geolocate {

inline constexpr double kLowestHaeM = -12'000, kHighestHaeM = 2'000'000;
inline constexpr double kLongestFocalPx = 1e12;
inline constexpr double kWorstSigma = 1e7;  ///< of any accuracy, in its own unit; its square must stay finite

}  // namespace detection::geolocate
