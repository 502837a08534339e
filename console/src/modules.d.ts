// What has no types of its own.

declare module "milsymbol-parts" {
  import type { Symbol as MilSymbol } from "milsymbol";
  export const ms: {
    addIcons(icons: unknown): void;
    Symbol: new (sidc: string, options?: Record<string, unknown>) => MilSymbol;
  };
  export const std2525c: unknown;
}

declare module "mgrs" {
  /** Longitude and latitude in degrees; `digits` 5 is metres. Throws outside 80 S to 84 N. */
  export function forward(lonLat: [number, number], digits?: number): string;
}

declare module "world-atlas/countries-50m.json" {
  import type { Topology } from "topojson-specification";
  const topology: Topology;
  export default topology;
}

declare module "geographiclib-geodesic" {
  interface Line {
    s12?: number;
    azi1?: number;
    lat2?: number;
    lon2?: number;
  }
  const library: {
    Geodesic: {
      WGS84: {
        Inverse(lat1: number, lon1: number, lat2: number, lon2: number): Line;
        Direct(lat1: number, lon1: number, azimuth: number, metres: number): Line;
      };
    };
  };
  export default library;
}
