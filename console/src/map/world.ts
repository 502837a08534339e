// The base map that is always there: the countries of Natural Earth, out of the binary.

import Feature from "ol/Feature";
import VectorImageLayer from "ol/layer/VectorImage";
import VectorSource from "ol/source/Vector";
import MultiPolygon from "ol/geom/MultiPolygon";
import { Fill, Stroke, Style } from "ol/style";
import { feature } from "topojson-client";
import type { GeometryCollection } from "topojson-specification";
import type { Theme } from "./symbol";
import { toX, toY } from "./graticule";

export interface CountryName {
  name: string;
  x: number;
  y: number;
  /** Width of its largest part, Web Mercator metres. */
  width: number;
}

export interface World {
  layer: VectorImageLayer;
  names: CountryName[];
  setTheme: (theme: Theme) => void;
}

const colours: Record<Theme, { land: string; border: string }> = {
  day: { land: "#f6f3ec", border: "#b9b3a4" },
  night: { land: "#1b242d", border: "#43525f" },
};

const southMost = -85.05; // near the poles the projection runs to infinity

/**
 * A ring of longitudes and latitudes as one unbroken line on the map: over the date line it goes on beyond 180 degrees
 * instead of jumping around the world, and one that goes around a pole is closed along the edge of the map.
 */
export function ringOnMap(ring: readonly (readonly number[])[]): [number, number][] {
  const line: [number, number][] = [];
  let before = ring[0]?.[0] ?? 0;
  for (const [lon = 0, lat = 0] of ring) {
    before += ((((lon - before + 180) % 360) + 360) % 360) - 180;
    line.push([before, Math.max(southMost, Math.min(-southMost, lat))]);
  }
  const first = line[0];
  if (first !== undefined && Math.abs(before - first[0]) > 180)
    line.push([before, southMost], [first[0], southMost], first);
  return line.map(([lon, lat]) => [toX(lon), toY(lat)]);
}

function polygonsOf(geometry: GeoJSON.Geometry): [number, number][][][] {
  const polygons =
    geometry.type === "Polygon" ? [geometry.coordinates] : geometry.type === "MultiPolygon" ? geometry.coordinates : [];
  return polygons.map((rings) => rings.map(ringOnMap));
}

function placeOf(name: string, polygons: [number, number][][][]): CountryName | null {
  let best: CountryName | null = null;
  for (const [ring] of polygons) {
    if (ring === undefined) continue;
    let minX = Infinity;
    let maxX = -Infinity;
    let area = 0;
    let cx = 0;
    let cy = 0;
    ring.forEach(([x, y], i) => {
      const [nx, ny] = ring[(i + 1) % ring.length] ?? [x, y];
      const cross = x * ny - nx * y;
      area += cross;
      cx += (x + nx) * cross;
      cy += (y + ny) * cross;
      minX = Math.min(minX, x);
      maxX = Math.max(maxX, x);
    });
    if (area === 0 || (best !== null && maxX - minX <= best.width)) continue;
    best = { name, x: cx / (3 * area), y: cy / (3 * area), width: maxX - minX };
  }
  return best;
}

export async function loadWorld(theme: Theme): Promise<World> {
  const { default: topology } = await import("world-atlas/countries-50m.json");
  const countries = feature(topology, topology.objects.countries as GeometryCollection<{ name: string }>);
  const names: CountryName[] = [];
  const features = countries.features.flatMap((country) => {
    const polygons = polygonsOf(country.geometry);
    const place = placeOf(country.properties.name, polygons);
    if (place !== null) names.push(place);
    return polygons.length === 0 ? [] : [new Feature(new MultiPolygon(polygons))];
  });
  const styles = Object.fromEntries(
    (["day", "night"] as const).map((name) => [
      name,
      new Style({
        fill: new Fill({ color: colours[name].land }),
        stroke: new Stroke({ color: colours[name].border, width: 1 }),
      }),
    ]),
  ) as Record<Theme, Style>;
  const layer = new VectorImageLayer({
    source: new VectorSource({ features, wrapX: true }),
    style: styles[theme],
    imageRatio: 1.6,
  });
  return { layer, names, setTheme: (next) => layer.setStyle(styles[next]) };
}

/** From afar only, and only where the name fits into its country. */
export function drawNames(
  context: CanvasRenderingContext2D,
  names: CountryName[],
  place: (x: number, y: number) => [number, number],
  resolution: number,
  theme: Theme,
): void {
  if (resolution < 300) return;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = theme === "night" ? "#7b8e9d" : "#857c69";
  for (const { name, x, y, width } of names) {
    if (width / resolution < name.length * 8) continue;
    const [px, py] = place(x, y);
    context.fillText(name, px, py);
  }
}
