import geodesic from "geographiclib-geodesic";
import { describe, expect, it } from "vitest";
import { distanceM, ellipseRing, offset } from "./ellipsoid";

const wgs84 = geodesic.Geodesic.WGS84;

function truth(from: { lat: number; lon: number }, to: { lat: number; lon: number }) {
  const { s12, azi1 } = wgs84.Inverse(from.lat, from.lon, to.lat, to.lon);
  return { distance: s12 ?? NaN, azimuth: ((azi1 ?? NaN) + 360) % 360 };
}

describe("ellipse", () => {
  for (const [lat, lon, major, minor, azimuth] of [
    [60, 24, 152.4, 20.9, 142.8],
    [60, 24, 25_000, 8_000, 30],
    [60, -179.999, 5_000, 4_000, 90],
    [0, 0, 1_000, 10, 45],
    [-84.9, 100, 2_000, 500, 0],
    [41.1, -104.85, 22.6, 10.4, 125],
  ] as const)
    it(`of ${major} by ${minor} m at ${lat}, ${lon} is the geodesic one within 1 %`, () => {
      const centre = { lat, lon };
      const ring = ellipseRing(centre, { semi_major_m: major, semi_minor_m: minor, azimuth_deg: azimuth });
      expect(ring[0]).toEqual(ring.at(-1));
      for (const point of ring) {
        const { distance, azimuth: towards } = truth(centre, point);
        const angle = ((towards - azimuth) * Math.PI) / 180;
        // The radius of the true ellipse in that direction.
        const radius = (major * minor) / Math.hypot(minor * Math.cos(angle), major * Math.sin(angle));
        expect(Math.abs(distance - radius) / radius).toBeLessThan(0.01);
        expect(Math.abs(point.lon - lon)).toBeLessThan(180);
      }
    });

  it("has its long axis where the azimuth says", () => {
    const ring = ellipseRing({ lat: 60, lon: 24 }, { semi_major_m: 1_000, semi_minor_m: 1, azimuth_deg: 70 });
    const { distance, azimuth } = truth({ lat: 60, lon: 24 }, ring[0] ?? { lat: 0, lon: 0 });
    expect(distance).toBeCloseTo(1_000, 1);
    expect(azimuth).toBeCloseTo(70, 2);
  });
});

describe("offset", () => {
  it("agrees with the direct geodesic", () => {
    for (const lat of [-80, -33, 0, 45, 60, 84])
      for (const azimuth of [0, 45, 117, 270]) {
        const radians = (azimuth * Math.PI) / 180;
        const to = offset({ lat, lon: 10 }, { east: 3_000 * Math.sin(radians), north: 3_000 * Math.cos(radians) });
        const exact = wgs84.Direct(lat, 10, azimuth, 3_000);
        expect(truth(to, { lat: exact.lat2 ?? NaN, lon: exact.lon2 ?? NaN }).distance).toBeLessThan(0.01);
      }
  });
});

describe("distance", () => {
  it("is good to 0.6 %", () => {
    const [a, b] = [
      { lat: 60, lon: 24 },
      { lat: 54.7, lon: 27 },
    ];
    expect(Math.abs(distanceM(a, b) / truth(a, b).distance - 1)).toBeLessThan(0.006);
  });
});
