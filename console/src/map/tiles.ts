// A base map of the user's: tiles or a PMTiles archive on this same server, or a PMTiles file of this computer, which
// is read where it lies and sent nowhere.

import TileLayer from "ol/layer/Tile";
import VectorTileLayer from "ol/layer/VectorTile";
import type BaseLayer from "ol/layer/Base";
import ImageTile from "ol/source/ImageTile";
import VectorTileSource from "ol/source/VectorTile";
import MVT from "ol/format/MVT";
import VectorTile from "ol/VectorTile";
import type Tile from "ol/Tile";
import type RenderFeature from "ol/render/Feature";
import type { FeatureLike } from "ol/Feature";
import { createXYZ } from "ol/tilegrid";
import { Fill, Stroke, Style } from "ol/style";
import { FetchSource, FileSource, PMTiles, TileType } from "pmtiles";
import type { BaseMap } from "./base_map";
import type { Theme } from "./symbol";

/** `theme` is asked for each time that something is drawn. */
export async function layerOf(map: Exclude<BaseMap, { kind: "world" }>, theme: () => Theme): Promise<BaseLayer> {
  if (map.kind === "xyz") return new TileLayer({ source: new ImageTile({ url: map.path, maxZoom: 20 }) });
  const archive = new PMTiles(map.kind === "file" ? new FileSource(map.file) : new FetchSource(map.path));
  const { tileType, minZoom, maxZoom } = await archive.getHeader();
  return tileType === TileType.Mvt
    ? vectorLayer(archive, minZoom, maxZoom, theme)
    : new TileLayer({ source: rasterSource(archive, minZoom, maxZoom) });
}

function rasterSource(archive: PMTiles, minZoom: number, maxZoom: number): ImageTile {
  return new ImageTile({
    minZoom,
    maxZoom,
    loader: async (z, x, y, { signal }) => {
      const tile = await archive.getZxy(z, x, y, signal);
      if (tile === undefined) return document.createElement("canvas");
      return createImageBitmap(new Blob([tile.data]));
    },
  });
}

function vectorLayer(archive: PMTiles, minZoom: number, maxZoom: number, theme: () => Theme): VectorTileLayer {
  const format = new MVT();
  const source = new VectorTileSource({
    format,
    tileGrid: createXYZ({ minZoom, maxZoom, tileSize: 512 }),
    tileUrlFunction: ([z, x, y]) => `${z}/${x}/${y}`, // a name only
    tileLoadFunction: (tile: Tile, url) => {
      // What a VectorTile source loads is always one; its type does not say so.
      if (!(tile instanceof VectorTile)) return;
      // eslint-disable-next-line @typescript-eslint/no-unsafe-assignment -- instanceof cannot say what it holds
      const vectorTile: VectorTile<RenderFeature> = tile;
      vectorTile.setLoader((extent, _resolution, featureProjection) => {
        const [z = 0, x = 0, y = 0] = url.split("/").map(Number);
        archive.getZxy(z, x, y).then(
          (found) => {
            const features = found === undefined ? [] : format.readFeatures(found.data, { extent, featureProjection });
            vectorTile.setFeatures(features);
          },
          () => vectorTile.onError(),
        );
      });
    },
  });
  return new VectorTileLayer({ source, style: (one) => vectorStyle(one, theme()) });
}

/** Plain on purpose: water, roads and borders under what is shown, by the layer names of the common schemas. */
function vectorStyle(feature: FeatureLike, theme: Theme): Style | undefined {
  const night = theme === "night";
  const layer = String(feature.get("layer"));
  if (feature.getGeometry()?.getType().endsWith("Point") === true) return undefined;
  if (/water|ocean|river/.test(layer)) return styleOf(night ? "#0d1319" : "#c9d9e4", night ? "#16222c" : "#b4c8d6");
  if (/road|transport/.test(layer)) return styleOf(null, night ? "#48555f" : "#c2b8a4");
  if (/bound|admin/.test(layer)) return styleOf(null, night ? "#5d6c78" : "#9c937f");
  if (/building/.test(layer)) return styleOf(night ? "#26313b" : "#e4ddcf", null);
  return styleOf(night ? "#1b242d" : "#f6f3ec", null);
}

const styles = new Map<string, Style>();
function styleOf(fill: string | null, stroke: string | null): Style {
  const key = `${fill ?? ""}|${stroke ?? ""}`;
  let style = styles.get(key);
  if (style === undefined) {
    style = new Style({
      ...(fill === null ? {} : { fill: new Fill({ color: fill }) }),
      ...(stroke === null ? {} : { stroke: new Stroke({ color: stroke, width: 1 }) }),
    });
    styles.set(key, style);
  }
  return style;
}
