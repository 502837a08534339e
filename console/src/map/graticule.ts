// Lines of latitude and longitude, so that a place without a map still has one; and names of countries from afar.

import type { Theme } from "./symbol";

const steps = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001];
const earthM = 6_378_137;
const radians = Math.PI / 180;

export interface Frame {
  context: CanvasRenderingContext2D;
  /** CSS pixels. */
  width: number;
  height: number;
  centre: [number, number];
  /** Web Mercator metres a pixel. */
  resolution: number;
  theme: Theme;
}

export const toX = (lon: number) => earthM * lon * radians;
export const toY = (lat: number) => earthM * Math.log(Math.tan(Math.PI / 4 + (lat * radians) / 2));
export const toLon = (x: number) => x / earthM / radians;
export const toLat = (y: number) => (2 * Math.atan(Math.exp(y / earthM)) - Math.PI / 2) / radians;

/** The step whose lines are at least 140 pixels apart. */
export function stepOf(resolution: number): number {
  const least = toLon(resolution * 140);
  return [...steps].reverse().find((step) => step >= least) ?? 30;
}

function label(degrees: number, step: number, positive: string, negative: string): string {
  const digits = step >= 1 ? 0 : Math.ceil(-Math.log10(step) - 1e-9);
  const text = Math.abs(degrees).toFixed(digits);
  return Number(text) === 0 ? "0°" : `${text}° ${degrees < 0 ? negative : positive}`;
}

/** A round length that is 60 to 150 pixels long here: "200 m". */
export function scaleOf(resolution: number, lat: number): { metres: number; px: number; label: string } {
  const metresPerPx = resolution * Math.cos(lat * radians);
  const power = 10 ** Math.floor(Math.log10(metresPerPx * 150));
  const metres = [5, 2, 1].map((n) => n * power).find((length) => length / metresPerPx <= 150) ?? power;
  return { metres, px: metres / metresPerPx, label: metres >= 1000 ? `${metres / 1000} km` : `${metres} m` };
}

function drawScale({ context, height, centre, resolution, theme }: Frame): void {
  const { px, label: text } = scaleOf(resolution, toLat(centre[1]));
  const y = height - 30;
  context.beginPath();
  context.moveTo(12, y - 5);
  context.lineTo(12, y);
  context.lineTo(12 + px, y);
  context.lineTo(12 + px, y - 5);
  context.lineWidth = 2;
  context.strokeStyle = context.fillStyle = theme === "night" ? "#c9d6e0" : "#2f4152";
  context.stroke();
  context.textAlign = "left";
  context.fillText(text, 18, y - 9);
}

export function drawGraticule(frame: Frame): void {
  const { context, width, height, centre, resolution, theme } = frame;
  const step = stepOf(resolution);
  const west = toLon(centre[0] - (width / 2) * resolution);
  const east = toLon(centre[0] + (width / 2) * resolution);
  const south = toLat(centre[1] - (height / 2) * resolution);
  const north = toLat(centre[1] + (height / 2) * resolution);
  context.lineWidth = 1;
  context.strokeStyle = theme === "night" ? "rgb(150 190 220 / 0.13)" : "rgb(40 70 95 / 0.16)";
  context.fillStyle = theme === "night" ? "#8fa6b8" : "#4d6274";
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.beginPath();
  const marks: [string, number, number, CanvasTextAlign][] = [];
  for (let i = Math.ceil(west / step); i * step <= east; i++) {
    const lon = i * step;
    const x = Math.round((toX(lon) - centre[0]) / resolution + width / 2) + 0.5;
    context.moveTo(x, 0);
    context.lineTo(x, height);
    const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
    marks.push([label(wrapped, step, "E", "W"), x + 4, height - 12, "left"]);
  }
  for (let i = Math.ceil(south / step); i * step <= north; i++) {
    const lat = i * step;
    if (Math.abs(lat) > 85) continue;
    const y = Math.round(height / 2 - (toY(lat) - centre[1]) / resolution) + 0.5;
    context.moveTo(0, y);
    context.lineTo(width, y);
    marks.push([label(lat, step, "N", "S"), width - 6, y - 8, "right"]);
  }
  context.stroke();
  for (const [text, x, y, align] of marks) {
    context.textAlign = align;
    context.fillText(text, x, y);
  }
  drawScale(frame);
}
