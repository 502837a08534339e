// The layer of detections: one canvas, drawn anew for each frame from a few hundred ready-made pictures.

import Layer from "ol/layer/Layer";
import type { FrameState } from "ol/Map";
import type { Item } from "../data/store";
import type { View } from "../geo/camera";
import { ellipseRing, type LatLon } from "../geo/ellipsoid";
import { clustersOf, freshness, type Cluster } from "./clusters";
import { drawGraticule, toX, toY } from "./graticule";
import { flagColours, spriteOf, type Theme } from "./symbol";
import { drawNames, type CountryName } from "./world";

const cellPx = 44;
const ellipsesMost = 300;
const ellipseLeastPx = 7;
const worldM = 2 * Math.PI * 6_378_137;
const newMs = 5_000;

/** A difference of two places, the short way around the world. */
const wrapped = (x: number) => x - Math.round(x / worldM) * worldM;

export interface Scene {
  items: Item[];
  /** Changes with `items`. */
  version: number;
  selected: Item | null;
  view: View | null;
  area: [number, number, number, number] | null;
  theme: Theme;
  names: CountryName[];
}

/** An ellipse in Web Mercator metres around its point, so that it is computed once. */
const rings = new WeakMap<Item, Float64Array>();
function ringOf(item: Item): Float64Array {
  let ring = rings.get(item);
  if (ring === undefined) {
    const ellipse = { semi_major_m: item.semiMajor, semi_minor_m: item.semiMinor, azimuth_deg: item.azimuth };
    ring = new Float64Array(ellipseRing(item, ellipse, 48).flatMap(({ lat, lon }) => [toX(lon), toY(lat)]));
    rings.set(item, ring);
  }
  return ring;
}

export class DetectionLayer {
  readonly layer: Layer;
  private readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private clusters: Cluster[] = [];
  private clustersFor = { level: NaN, version: -1, x: 0, y: 0, reachX: 0, reachY: 0 };
  private drawn: { cluster: Cluster; x: number; y: number }[] = [];

  constructor(private readonly scene: Scene) {
    this.canvas.className = "detections-layer";
    const context = this.canvas.getContext("2d");
    if (context === null) throw new Error("this browser draws no canvas");
    this.context = context;
    this.layer = new Layer({ render: (frame) => this.render(frame) });
  }

  /** The mark that is nearest to a pixel of the map; null: none is near. */
  at(pixel: [number, number], reachPx = 20): Cluster | null {
    let best: Cluster | null = null;
    let nearest = reachPx;
    for (const { cluster, x, y } of this.drawn) {
      const distance = Math.hypot(x - pixel[0], y - pixel[1]);
      if (distance > nearest) continue;
      nearest = distance;
      best = cluster;
    }
    return best;
  }

  private render(frame: FrameState): HTMLElement {
    const { context, canvas, scene } = this;
    const [width = 0, height = 0] = frame.size;
    const ratio = frame.pixelRatio;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const { resolution } = frame.viewState;
    const [cx = 0, cy = 0] = frame.viewState.center;
    const place = (x: number, y: number): [number, number] => {
      // The copy of the world that is nearest to the middle of the view.
      return [wrapped(x - cx) / resolution + width / 2, height / 2 - (y - cy) / resolution];
    };
    drawGraticule({ context, width, height, centre: [cx, cy], resolution, theme: scene.theme });
    drawNames(context, scene.names, place, resolution, scene.theme);
    this.drawArea(place);
    this.cluster([cx, cy], resolution, [width, height], frame.viewHints[0] !== 0 || frame.viewHints[1] !== 0);
    const margin = 40;
    this.drawn = [];
    for (const cluster of this.clusters) {
      const [x, y] = place(cluster.head.x, cluster.head.y);
      if (x < -margin || y < -margin || x > width + margin || y > height + margin) continue;
      this.drawn.push({ cluster, x, y });
    }
    this.drawEllipses(place, resolution);
    if (scene.selected !== null) this.drawSelected(scene.selected, place);
    this.drawMarks(ratio);
    return canvas;
  }

  /**
   * By whole steps of zoom, of what is in the view or one view around it: twenty thousand take no longer than what is
   * seen. Data that arrives while the map moves waits for the end of the movement.
   */
  private cluster(centre: [number, number], resolution: number, size: [number, number], moving: boolean): void {
    const level = Math.round(Math.log2(resolution));
    const made = this.clustersFor;
    const [reachX, reachY] = [size[0] * resolution, size[1] * resolution];
    const near = Math.abs(wrapped(centre[0] - made.x)) <= made.reachX && Math.abs(centre[1] - made.y) <= made.reachY;
    const wide = reachX * 1.5 >= worldM / 2; // the whole world is there anyway
    if (made.level === level && near && (moving || made.version === this.scene.version)) return;
    const items = wide
      ? this.scene.items
      : this.scene.items.filter(
          ({ x, y }) => Math.abs(wrapped(x - centre[0])) <= 1.5 * reachX && Math.abs(y - centre[1]) <= 1.5 * reachY,
        );
    this.clusters = clustersOf(items, cellPx * 2 ** level);
    // How far the middle may go before an edge of the view comes to the edge of what was looked at. A level is left
    // before the view is half a step wider, which costs some of it.
    this.clustersFor = {
      level,
      version: this.scene.version,
      x: centre[0],
      y: centre[1],
      reachX: wide ? Infinity : reachX * 0.4,
      reachY: wide ? Infinity : reachY * 0.4,
    };
  }

  private trace(points: ArrayLike<number>, place: (x: number, y: number) => [number, number]): void {
    this.context.beginPath();
    for (let i = 0; i + 1 < points.length; i += 2) {
      const [x, y] = place(points[i] ?? 0, points[i + 1] ?? 0);
      if (i === 0) this.context.moveTo(x, y);
      else this.context.lineTo(x, y);
    }
  }

  private drawEllipses(place: (x: number, y: number) => [number, number], resolution: number): void {
    const { context, scene } = this;
    const now = Date.now();
    let left = ellipsesMost;
    context.lineWidth = 1.5;
    // The ones on top first: they are the ones that matter.
    for (let i = this.drawn.length - 1; i >= 0 && left > 0; i--) {
      const item = this.drawn[i]?.cluster.head;
      if (item === undefined || item.ce90 === null || item === scene.selected || item.superseded) continue;
      const scale = 1 / Math.cos((item.lat * Math.PI) / 180);
      if ((item.semiMajor * scale) / resolution < ellipseLeastPx) continue;
      left--;
      this.trace(ringOf(item), place);
      const colour = flagColours[scene.theme][item.flag];
      const fresh = freshness(item, now);
      context.globalAlpha = 0.1 * fresh;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 0.75 * fresh;
      context.strokeStyle = colour;
      context.setLineDash(item.flag === "GREEN" ? [] : item.flag === "YELLOW" ? [8, 4] : [2, 4]);
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  private drawMarks(ratio: number): void {
    const { context, scene } = this;
    const now = Date.now();
    for (const { cluster, x, y } of this.drawn) {
      const { head, count } = cluster;
      const fresh = freshness(head, now);
      if (head.superseded && count === 1) {
        this.drawTrailDot(x, y, fresh);
        continue;
      }
      if (now - head.receivedMs < newMs) this.drawNewRing(x, y);
      const sprite = spriteOf(head.cotType, head.flag, head.state, scene.theme, ratio);
      context.globalAlpha = fresh;
      context.drawImage(sprite.canvas, x - sprite.centre, y - sprite.centre, sprite.side, sprite.side);
      context.globalAlpha = 1;
      if (count > 1) this.drawCount(count, x + 15, y - 13);
    }
  }

  private drawTrailDot(x: number, y: number, fresh: number): void {
    const { context, scene } = this;
    context.globalAlpha = 0.7 * fresh;
    context.beginPath();
    context.arc(x, y, 2.5, 0, 2 * Math.PI);
    context.fillStyle = scene.theme === "night" ? "#c9d6e0" : "#2f4152";
    context.fill();
    context.globalAlpha = 1;
  }

  private drawNewRing(x: number, y: number): void {
    const { context, scene } = this;
    context.beginPath();
    context.arc(x, y, 21, 0, 2 * Math.PI);
    context.lineWidth = 2.5;
    context.strokeStyle = scene.theme === "night" ? "#4cc2ff" : "#0067b8";
    context.stroke();
  }

  private drawCount(count: number, x: number, y: number): void {
    const { context, scene } = this;
    const text = count > 9_999 ? `${Math.floor(count / 1000)}k` : String(count);
    context.font = "600 11px system-ui, sans-serif";
    const width = context.measureText(text).width + 10;
    context.beginPath();
    context.roundRect(x - 4, y - 8, width, 16, 8);
    context.fillStyle = scene.theme === "night" ? "#f4f7fa" : "#17202a";
    context.strokeStyle = scene.theme === "night" ? "#0d1319" : "#fff";
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
    context.fillStyle = scene.theme === "night" ? "#0d1319" : "#fff";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, x - 4 + width / 2, y + 0.5);
  }

  private drawSelected(item: Item, place: (x: number, y: number) => [number, number]): void {
    const { context, scene } = this;
    const accent = scene.theme === "night" ? "#4cc2ff" : "#0067b8";
    const halo = scene.theme === "night" ? "#0d1319" : "#fff";
    const flat = (points: LatLon[]) => points.flatMap(({ lat, lon }) => [toX(lon), toY(lat)]);
    const [x, y] = place(item.x, item.y);
    if (scene.view !== null) {
      this.trace(flat(scene.view.footprint), place);
      context.globalAlpha = 0.08;
      context.fillStyle = accent;
      context.fill();
      context.globalAlpha = 1;
      context.setLineDash([6, 4]);
      context.lineWidth = 1.5;
      context.strokeStyle = accent;
      context.stroke();
      context.setLineDash([]);
      const [cameraX, cameraY] = place(toX(scene.view.camera.lon), toY(scene.view.camera.lat));
      context.beginPath();
      context.moveTo(cameraX, cameraY);
      context.lineTo(x, y);
      context.lineWidth = 2;
      context.stroke();
      this.drawCamera(cameraX, cameraY, Math.atan2(y - cameraY, x - cameraX), accent, halo);
    }
    if (item.ce90 !== null) {
      const colour = flagColours[scene.theme][item.flag];
      this.trace(ringOf(item), place);
      context.globalAlpha = 0.16;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
      for (const [width, stroke] of [
        [5, halo],
        [2.5, colour],
      ] as const) {
        context.lineWidth = width;
        context.strokeStyle = stroke;
        context.stroke();
      }
    }
    context.beginPath();
    for (const [dx, dy] of [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ] as const) {
      context.moveTo(x + dx * 25, y + dy * 15);
      context.lineTo(x + dx * 25, y + dy * 25);
      context.lineTo(x + dx * 15, y + dy * 25);
    }
    context.lineWidth = 3;
    context.strokeStyle = accent;
    context.stroke();
  }

  private drawCamera(x: number, y: number, towards: number, accent: string, halo: string): void {
    const { context } = this;
    context.save();
    context.translate(x, y);
    context.rotate(towards);
    context.beginPath();
    context.roundRect(-9, -6, 14, 12, 2);
    context.moveTo(5, -2);
    context.lineTo(11, -6);
    context.lineTo(11, 6);
    context.lineTo(5, 2);
    context.closePath();
    context.fillStyle = accent;
    context.strokeStyle = halo;
    context.lineWidth = 2;
    context.stroke();
    context.fill();
    context.restore();
  }

  private drawArea(place: (x: number, y: number) => [number, number]): void {
    const { area, theme } = this.scene;
    if (area === null) return;
    const [west, south, east, north] = area;
    const [x1, y1] = place(toX(west), toY(Math.min(85, north)));
    const [x2, y2] = place(toX(east), toY(Math.max(-85, south)));
    this.context.setLineDash([10, 6]);
    this.context.lineWidth = 1.5;
    this.context.strokeStyle = theme === "night" ? "#f4f7fa" : "#17202a";
    this.context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    this.context.setLineDash([]);
  }
}
