import { describe, expect, it } from "vitest";
import { focalPx, groundUnder, heightOver, viewOf, type Pose } from "./camera";
import { distanceM, offset } from "./ellipsoid";

const pose: Pose = {
  location_lat: 60,
  location_lon: 24,
  heading: 0,
  pitch: -45,
  roll: 0,
  image_width: 1000,
  image_height: 800,
  focal_length: 1000,
};
const middle: [number, number] = [500, 400];

describe("a camera's view", () => {
  it("meets the ground where plane geometry says", () => {
    const ground = groundUnder(pose, 1000, 100, middle, 10_000);
    expect(ground?.north).toBeCloseTo(100, 1); // 45 degrees down from 100 m
    expect(ground?.east).toBeCloseTo(0, 6);
    const nadir = groundUnder({ ...pose, pitch: -90 }, 1000, 100, [700, 400], 10_000);
    expect(nadir?.east).toBeCloseTo(20, 2); // right of the picture is east when it looks north
    expect(nadir?.north).toBeCloseTo(0, 6);
    const below = groundUnder({ ...pose, pitch: -90 }, 1000, 100, [500, 600], 10_000);
    expect(below?.north).toBeCloseTo(-20, 2);
  });

  it("turns with heading and roll", () => {
    const east = groundUnder({ ...pose, heading: 90 }, 1000, 100, middle, 10_000);
    expect(east?.east).toBeCloseTo(100, 1);
    // Right side down: what is right in the picture is nearer to the camera.
    const level = groundUnder(pose, 1000, 100, [800, 400], 10_000);
    const rolled = groundUnder({ ...pose, roll: 20 }, 1000, 100, [800, 400], 10_000);
    expect(rolled?.north ?? NaN).toBeLessThan(level?.north ?? NaN);
  });

  it("does not reach the ground above the horizon or too far away", () => {
    expect(groundUnder({ ...pose, pitch: 1 }, 1000, 100, middle, 1e6)).toBeNull();
    expect(groundUnder({ ...pose, pitch: -0.1 }, 1000, 100, middle, 1e9)).toBeNull(); // past the bend of the Earth
    expect(groundUnder({ ...pose, pitch: -5 }, 1000, 100, middle, 500)).toBeNull();
  });

  it("agrees with the service on a real packet", () => {
    // tests/data/klv/truck_72, first packet, as the service answered it.
    const truck: Pose = {
      location_lat: 41.09574003196123,
      location_lon: -104.87021569389394,
      heading: 52.73492963500872,
      pitch: -27.536721937031142,
      roll: -1.6989344498155563,
      hfov_deg: 3.0652323186083774,
      image_width: 1920,
      image_height: 1080,
    };
    const height = heightOver(2291.890560251635, 27.51847207032032);
    const ground = groundUnder(truck, focalPx(truck) ?? NaN, height, [960, 540], 1e6);
    const at = offset({ lat: truck.location_lat, lon: truck.location_lon }, ground ?? { east: NaN, north: NaN });
    expect(distanceM(at, { lat: 41.10681552301123, lon: -104.85096689918123 })).toBeLessThan(3);
    const view = viewOf(truck, 2291.890560251635, 27.51847207032032);
    expect(view?.open).toBe(false);
    expect(view?.footprint.length).toBe(49);
  });

  it("knows each way to say a focal length", () => {
    const without = { ...pose };
    delete without.focal_length;
    expect(focalPx({ ...without, focal_length_mm: 36, sensor_width_mm: 36 })).toBe(1000);
    expect(focalPx({ ...without, hfov_deg: 90 })).toBeCloseTo(500, 9);
    expect(focalPx(without)).toBeNull();
    expect(viewOf(without, 100, 45)).toBeNull();
  });
});
