import { describe, expect, it } from "vitest";
import { formatLatLon, formatMgrs, formatUtm, toUtm, wrapped } from "./coordinates";

describe("UTM", () => {
  it("has the known values", () => {
    // On the central meridian the easting is 500 km, on the equator the northing is 0, both by definition.
    expect(toUtm({ lat: 0, lon: 3 })).toEqual({ zone: 31, hemisphere: "N", easting: 500_000, northing: 0 });
    // The CN Tower: 17 N 630084 4833438 (the example of the article on UTM).
    expect(formatUtm({ lat: 43.642566, lon: -79.387139 })).toBe("17 N 630084 4833438");
    // GeographicLib's own example: 33.3 44.4 is 38n 444140.54 3684706.36.
    const utm = toUtm({ lat: 33.3, lon: 44.4 });
    expect(utm?.easting).toBeCloseTo(444_140.54, 2);
    expect(utm?.northing).toBeCloseTo(3_684_706.36, 2);
    // South: 10,000 km are added.
    expect(toUtm({ lat: -33.857, lon: 151.215 })?.hemisphere).toBe("S");
    expect(toUtm({ lat: -33.857, lon: 151.215 })?.northing).toBeGreaterThan(6_000_000);
  });

  it("knows the zones of Norway and Svalbard, and where it ends", () => {
    expect(toUtm({ lat: 60.4, lon: 5.3 })?.zone).toBe(32);
    expect(toUtm({ lat: 78.2, lon: 15.6 })?.zone).toBe(33);
    expect(toUtm({ lat: 10, lon: 180 })?.zone).toBe(1);
    expect(formatUtm({ lat: 84.1, lon: 0 })).toBeNull();
    expect(formatUtm({ lat: -80.1, lon: 0 })).toBeNull();
  });

  it("agrees with the MGRS library on the last five digits", () => {
    for (const [lat, lon] of [
      [60, 24],
      [41.1068, -104.851],
      [-33.9, 18.4],
      [1.3, 103.8],
    ] as const) {
      const utm = toUtm({ lat, lon });
      const digits = formatMgrs({ lat, lon })?.split(" ").slice(2).map(Number) ?? [];
      expect(Math.abs((digits[0] ?? NaN) - ((utm?.easting ?? NaN) % 100_000))).toBeLessThan(1.5);
      expect(Math.abs((digits[1] ?? NaN) - ((utm?.northing ?? NaN) % 100_000))).toBeLessThan(1.5);
    }
  });
});

describe("MGRS", () => {
  it("has the known values", () => {
    expect(formatMgrs({ lat: 33.3, lon: 44.4 })).toBe("38S MB 44140 84706"); // as GeographicLib says
    expect(formatMgrs({ lat: 0, lon: 0 })).toBe("31N AA 66021 00000");
    expect(formatMgrs({ lat: 85, lon: 0 })).toBeNull();
  });
});

describe("latitude and longitude", () => {
  it("has its hemisphere in words", () => {
    expect(formatLatLon({ lat: -1.5, lon: -179.9999999 })).toBe("1.500000° S, 180.000000° W");
    expect(formatLatLon({ lat: 54.7491238, lon: 250 })).toBe("54.749124° N, 110.000000° W");
    expect(wrapped(180)).toBe(-180);
    expect(wrapped(-540)).toBe(-180);
  });
});
