#include "geolocate/circular_error.hpp"

#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

TEST(CircularError, FollowsTheExactTable) {
  const auto exact = test::vectors("ce90_exact.json");
  for (const auto& row : exact["circle_factor_by_axis_ratio"]) {
    const double k = row["k90"];
    EXPECT_NEAR(circle90_factor(row["c"].get<double>()), k, k * 3.2e-4) << row;
  }
  EXPECT_NEAR(kLe90PerSigma, exact["le90_factor"].get<double>(), 1e-12);
  EXPECT_NEAR(kEllipse90PerSigma, exact["ellipse_scale"]["p90"].get<double>(), 1e-12);
}

TEST(CircularError, FindsAxesAndAzimuth) {
  int cases = 0;
  const auto file = test::vectors("ce90_exact.json");
  for (const auto& row : file["cases"]) {
    const double ee = row["cov_EE"], nn = row["cov_NN"], en = row["cov_EN"];
    const PrincipalSigmas sigmas = principal_sigmas(ee, nn, en);
    EXPECT_NEAR(sigmas.major_m, row["sigma_major"].get<double>(), 1e-8 * sigmas.major_m);
    EXPECT_NEAR(sigmas.minor_m, row["sigma_minor"].get<double>(), 1e-6 * sigmas.major_m);
    const double ce90 = row["ce90"];
    EXPECT_NEAR(ce90_of(sigmas), ce90, ce90 * 1e-3);
    const ErrorEllipse ellipse = ellipse90_of({ee, nn, 1, en, 0, 0});
    EXPECT_NEAR(std::remainder(ellipse.azimuth_deg - row["azimuth_major_deg"].get<double>(), 180.0), 0, 1e-6);
    EXPECT_TRUE(ellipse.azimuth_deg >= 0 && ellipse.azimuth_deg < 180);
    EXPECT_NEAR(ellipse.semi_major_m, 2.145966 * sigmas.major_m, 1e-5 * sigmas.major_m);
    ++cases;
  }
  EXPECT_EQ(cases, 20);
}

TEST(CircularError, NoErrorIsZeroAndALineIsALine) {
  EXPECT_EQ(ce90_of(principal_sigmas(0, 0, 0)), 0);
  EXPECT_NEAR(ce90_of(principal_sigmas(4, 0, 0)), 2 * 1.6448536, 2e-3);
  EXPECT_EQ(ellipse90_of({0, 4, 0, 0, 0, 0}).azimuth_deg, 0);   // north-south
  EXPECT_EQ(ellipse90_of({4, 0, 0, 0, 0, 0}).azimuth_deg, 90);  // east-west
  EXPECT_EQ(ellipse90_of({2, 2, 0, -1, 0, 0}).azimuth_deg, 135);
}

}  // namespace
}  // namespace detection::geolocate
