// What the camera of a detection saw: where it stood, and the ground that its picture covers. Of the pose as it was
// reported, on level ground at the height of the detection: a drawing for orientation, the fix itself is the service's.

import { offset, type LatLon } from "./ellipsoid";

const radians = Math.PI / 180;
const earthRadiusM = 6_371_008.8;

/** sensor_metadata of the request, as far as it is drawn. */
export interface Pose {
  location_lat: number;
  location_lon: number;
  heading: number;
  pitch: number;
  roll: number;
  image_width: number;
  image_height: number;
  focal_length?: number;
  focal_length_y?: number;
  focal_length_mm?: number;
  sensor_width_mm?: number;
  hfov_deg?: number;
  principal_point?: [number, number];
}

export interface View {
  camera: LatLon;
  /** Its height over the ground at the detection. */
  heightM: number;
  /** The ground in the picture, closed; cut where it goes on for ever. */
  footprint: LatLon[];
  /** Some of the picture is above the horizon or farther away than is drawn. */
  open: boolean;
}

/** How high the camera is, from the range and the angle at which the line of sight meets the ground. */
export function heightOver(slantRangeM: number, grazingDeg: number): number {
  const sin = Math.sin(grazingDeg * radians);
  return Math.sqrt(earthRadiusM ** 2 + slantRangeM ** 2 + 2 * earthRadiusM * slantRangeM * sin) - earthRadiusM;
}

/** Pixels; null where the pose does not say. */
export function focalPx(pose: Pose): number | null {
  if (pose.focal_length !== undefined) return pose.focal_length;
  if (pose.focal_length_mm !== undefined && pose.sensor_width_mm !== undefined)
    return (pose.focal_length_mm / pose.sensor_width_mm) * pose.image_width;
  if (pose.hfov_deg !== undefined) return pose.image_width / 2 / Math.tan((pose.hfov_deg / 2) * radians);
  return null;
}

/** Metres east and north of the camera where the ray of a pixel meets the ground; null: it does not, nearer than `mostM`. */
export function groundUnder(
  pose: Pose,
  focal: number,
  heightM: number,
  pixel: [number, number],
  mostM: number,
): { east: number; north: number } | null {
  const [cx, cy] = pose.principal_point ?? [pose.image_width / 2, pose.image_height / 2];
  const right = (pixel[0] - cx) / focal;
  const down = (pixel[1] - cy) / (pose.focal_length_y ?? focal);
  // Right side down is positive roll: the picture's right and down turn about the line of sight.
  const sinRoll = Math.sin(pose.roll * radians);
  const cosRoll = Math.cos(pose.roll * radians);
  const r = right * cosRoll - down * sinRoll;
  const d = right * sinRoll + down * cosRoll;
  const sinPitch = Math.sin(pose.pitch * radians);
  const cosPitch = Math.cos(pose.pitch * radians);
  const forward = cosPitch + d * sinPitch;
  const up = sinPitch - d * cosPitch;
  if (up >= 0) return null;
  const level = Math.hypot(forward, r);
  const length = Math.hypot(level, up);
  // The Earth falls away: the ray meets a sphere.
  const sinDown = -up / length;
  const b = (earthRadiusM + heightM) * sinDown;
  const under = b * b - heightM * (2 * earthRadiusM + heightM);
  if (under < 0) return null;
  const range = b - Math.sqrt(under);
  const over = (range * level) / length;
  if (over > mostM) return null;
  const sinHeading = Math.sin(pose.heading * radians);
  const cosHeading = Math.cos(pose.heading * radians);
  const scale = level === 0 ? 0 : over / level;
  return {
    east: (forward * sinHeading + r * cosHeading) * scale,
    north: (forward * cosHeading - r * sinHeading) * scale,
  };
}

/** Null where the pose has no focal length to draw with, or the camera is on the ground. */
export function viewOf(pose: Pose, slantRangeM: number, grazingDeg: number): View | null {
  const focal = focalPx(pose);
  const heightM = heightOver(slantRangeM, grazingDeg);
  if (focal === null || !(focal > 0) || !(heightM > 0.01)) return null;
  const camera = { lat: pose.location_lat, lon: pose.location_lon };
  const { image_width: width, image_height: height } = pose;
  const mostM = Math.max(5 * slantRangeM, 500);
  const footprint: LatLon[] = [];
  let open = false;
  // Along the edges of the picture; where an edge leaves the ground the outline goes straight on to where it returns.
  const corners: [number, number][] = [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ];
  const steps = 12;
  corners.forEach((from, i) => {
    const to = corners[(i + 1) % 4] ?? from;
    for (let step = 0; step < steps; step++) {
      const t = step / steps;
      const pixel: [number, number] = [from[0] + (to[0] - from[0]) * t, from[1] + (to[1] - from[1]) * t];
      const ground = groundUnder(pose, focal, heightM, pixel, mostM);
      if (ground === null) open = true;
      else footprint.push(offset(camera, ground));
    }
  });
  const first = footprint[0];
  if (first !== undefined) footprint.push(first);
  return { camera, heightM, footprint, open };
}
