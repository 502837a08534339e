// Points around a point on the WGS 84 ellipsoid: what is a few metres or kilometres east and north of it. By way of
// Earth-centred coordinates, so that it holds at any latitude and over hundreds of kilometres.

const semiMajorM = 6_378_137;
const flattening = 1 / 298.257_223_563;
const eccentricity2 = flattening * (2 - flattening);
const radians = Math.PI / 180;

/** Degrees. */
export interface LatLon {
  lat: number;
  lon: number;
}

/** Metres in the tangent plane of a point. */
export interface EastNorth {
  east: number;
  north: number;
}

export interface Ellipse {
  semi_major_m: number;
  semi_minor_m: number;
  /** Of the major axis, clockwise from true north. */
  azimuth_deg: number;
}

/** The point `up` metres above the tangent plane at `origin` (on the ellipsoid), brought down onto the ellipsoid. */
export function offset(origin: LatLon, { east, north }: EastNorth, up = 0): LatLon {
  const sinLat = Math.sin(origin.lat * radians);
  const cosLat = Math.cos(origin.lat * radians);
  const sinLon = Math.sin(origin.lon * radians);
  const cosLon = Math.cos(origin.lon * radians);
  const normal = semiMajorM / Math.sqrt(1 - eccentricity2 * sinLat * sinLat);
  const x = normal * cosLat * cosLon - sinLon * east - sinLat * cosLon * north + cosLat * cosLon * up;
  const y = normal * cosLat * sinLon + cosLon * east - sinLat * sinLon * north + cosLat * sinLon * up;
  const z = normal * (1 - eccentricity2) * sinLat + cosLat * north + sinLat * up;
  // Bowring's formula: exact to less than a millimetre near the ground.
  const semiMinorM = semiMajorM * (1 - flattening);
  const ring = Math.hypot(x, y);
  const angle = Math.atan2(z * semiMajorM, ring * semiMinorM);
  const second = eccentricity2 / (1 - eccentricity2);
  const lat = Math.atan2(
    z + second * semiMinorM * Math.sin(angle) ** 3,
    ring - eccentricity2 * semiMajorM * Math.cos(angle) ** 3,
  );
  // Near to the origin's longitude, so that a ring over the date line does not jump around the world.
  let lon = Math.atan2(y, x) / radians;
  if (lon - origin.lon > 180) lon -= 360;
  if (lon - origin.lon < -180) lon += 360;
  return { lat: lat / radians, lon };
}

/** A closed ring: its last point is its first. */
export function ellipseRing(centre: LatLon, ellipse: Ellipse, points = 64): LatLon[] {
  const sinAzimuth = Math.sin(ellipse.azimuth_deg * radians);
  const cosAzimuth = Math.cos(ellipse.azimuth_deg * radians);
  const ring: LatLon[] = [];
  for (let i = 0; i <= points; i++) {
    const angle = ((i % points) / points) * 2 * Math.PI;
    const along = ellipse.semi_major_m * Math.cos(angle);
    const across = ellipse.semi_minor_m * Math.sin(angle);
    ring.push(
      offset(centre, {
        east: along * sinAzimuth + across * cosAzimuth,
        north: along * cosAzimuth - across * sinAzimuth,
      }),
    );
  }
  return ring;
}

/** Metres over the ground, on a sphere of the mean radius: good to 0.5 %, for what is read by people. */
export function distanceM(from: LatLon, to: LatLon): number {
  const sinLat = Math.sin(((to.lat - from.lat) / 2) * radians);
  const sinLon = Math.sin(((to.lon - from.lon) / 2) * radians);
  const h = sinLat * sinLat + Math.cos(from.lat * radians) * Math.cos(to.lat * radians) * sinLon * sinLon;
  return 2 * 6_371_008.8 * Math.asin(Math.min(1, Math.sqrt(h)));
}
