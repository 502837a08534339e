// A position as people say it: degrees, MGRS, UTM.

import { forward } from "mgrs";
import type { LatLon } from "./ellipsoid";

const radians = Math.PI / 180;

/** "54.749124° N 110.046638° W": six decimals are a tenth of a metre. */
export function formatLatLon({ lat, lon }: LatLon): string {
  const part = (value: number, positive: string, negative: string) =>
    `${Math.abs(value).toFixed(6)}° ${value < 0 ? negative : positive}`;
  return `${part(lat, "N", "S")}, ${part(wrapped(lon), "E", "W")}`;
}

/** To one metre, in the groups it is read in: "12U VF 89612 67032"; null near the poles, where MGRS is another grid. */
export function formatMgrs({ lat, lon }: LatLon): string | null {
  if (lat < -80 || lat > 84) return null;
  const text = forward([wrapped(lon), lat], 5);
  const parts = /^(\d{1,2}[A-Z])([A-Z]{2})(\d{5})(\d{5})$/.exec(text);
  return parts === null ? text : parts.slice(1).join(" ");
}

export interface Utm {
  zone: number;
  hemisphere: "N" | "S";
  easting: number;
  northing: number;
}

/** "12 N 432583 6067032", metres; null outside of 80 S to 84 N. */
export function formatUtm(position: LatLon): string | null {
  const utm = toUtm(position);
  if (utm === null) return null;
  return `${utm.zone} ${utm.hemisphere} ${utm.easting.toFixed(0)} ${utm.northing.toFixed(0)}`;
}

/** Transverse Mercator by Krüger's series to the fourth order (Karney 2011): well under a millimetre within a zone. */
export function toUtm(position: LatLon): Utm | null {
  const { lat } = position;
  const lon = wrapped(position.lon);
  if (lat < -80 || lat > 84) return null;
  const zone = utmZone(lat, lon);
  const n = 1 / 298.257_223_563 / (2 - 1 / 298.257_223_563);
  const e = Math.sqrt(1 - ((1 - n) / (1 + n)) ** 2);
  const radius = (6_378_137 / (1 + n)) * (1 + n ** 2 / 4 + n ** 4 / 64);
  const alpha = [
    n / 2 - (2 / 3) * n ** 2 + (5 / 16) * n ** 3 + (41 / 180) * n ** 4,
    (13 / 48) * n ** 2 - (3 / 5) * n ** 3 + (557 / 1440) * n ** 4,
    (61 / 240) * n ** 3 - (103 / 140) * n ** 4,
    (49_561 / 161_280) * n ** 4,
  ];
  const sinLat = Math.sin(lat * radians);
  const away = (lon - (zone * 6 - 183)) * radians;
  const t = Math.sinh(Math.atanh(sinLat) - e * Math.atanh(e * sinLat));
  const xi = Math.atan2(t, Math.cos(away));
  const eta = Math.atanh(Math.sin(away) / Math.hypot(1, t));
  let x = eta;
  let y = xi;
  alpha.forEach((a, i) => {
    const k = 2 * (i + 1);
    x += a * Math.cos(k * xi) * Math.sinh(k * eta);
    y += a * Math.sin(k * xi) * Math.cosh(k * eta);
  });
  const scale = 0.9996 * radius;
  return {
    zone,
    hemisphere: lat < 0 ? "S" : "N",
    easting: 500_000 + scale * x,
    northing: scale * y + (lat < 0 ? 10_000_000 : 0),
  };
}

/** With the exceptions for Norway and Svalbard. */
function utmZone(lat: number, lon: number): number {
  if (lat >= 56 && lat < 64 && lon >= 3 && lon < 12) return 32;
  if (lat >= 72 && lon >= 0 && lon < 42) return lon < 9 ? 31 : lon < 21 ? 33 : lon < 33 ? 35 : 37;
  return Math.min(60, Math.floor((lon + 180) / 6) + 1);
}

/** -180 <= lon < 180. */
export function wrapped(lon: number): number {
  return lon >= -180 && lon < 180 ? lon : ((((lon + 180) % 360) + 360) % 360) - 180;
}
