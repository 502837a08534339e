// The map itself: OpenLayers, the base map and the layer of detections, and where one looks.

import OlMap from "ol/Map";
import OlView from "ol/View";
import type BaseLayer from "ol/layer/Base";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import type { Item } from "../data/store";
import type { View } from "../geo/camera";
import type { LatLon } from "../geo/ellipsoid";
import { toLat, toLon, toX, toY } from "./graticule";
import { DetectionLayer, type Scene } from "./layer";
import { forgetSprites, loadSymbols, type Theme } from "./symbol";
import type { BaseMap } from "./base_map";
import { loadWorld, type World } from "./world";

export interface MapHandlers {
  select: (id: string | null) => void;
  /** A person moved the map. */
  movedByHand: () => void;
  /** The view came to rest. */
  settled: (view: Place) => void;
  /** Where the pointer is; null: not on the map. */
  pointer: (at: LatLon | null) => void;
}

/** As it stands in an address. */
export interface Place extends LatLon {
  zoom: number;
}

const closestZoom = 20;

export class MapView {
  private readonly map: OlMap;
  private readonly scene: Scene;
  private readonly detections: DetectionLayer;
  private world: World | null = null;
  private base: BaseLayer | null = null;

  constructor(
    target: HTMLElement,
    theme: Theme,
    private readonly handlers: MapHandlers,
  ) {
    this.scene = { items: [], version: 0, selected: null, view: null, area: null, theme, names: [] };
    this.detections = new DetectionLayer(this.scene);
    this.detections.layer.setZIndex(10);
    this.map = new OlMap({
      target,
      layers: [this.detections.layer],
      controls: [],
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
      view: new OlView({ center: [0, toY(25)], zoom: 2, minZoom: 1.5, maxZoom: closestZoom, enableRotation: false }),
    });
    this.map.on("click", (event) => this.clicked(event.pixel as [number, number]));
    this.map.on("pointermove", (event) => {
      const [x = 0, y = 0] = event.coordinate;
      if (!event.dragging) handlers.pointer({ lat: toLat(y), lon: toLon(x) });
      target.classList.toggle(
        "over-mark",
        !event.dragging && this.detections.at(event.pixel as [number, number]) !== null,
      );
    });
    target.addEventListener("pointerleave", () => handlers.pointer(null));
    this.map.on("pointerdrag" as never, () => handlers.movedByHand());
    this.map.getViewport().addEventListener("wheel", () => handlers.movedByHand(), { passive: true });
    this.map.on("moveend", () => handlers.settled(this.place()));
    void loadSymbols().then(() => {
      forgetSprites();
      this.redraw();
    });
    void loadWorld(theme).then((world) => {
      this.world = world;
      world.setTheme(this.scene.theme);
      this.scene.names = this.base === null ? world.names : [];
      if (this.base === null) this.map.getLayers().insertAt(0, world.layer);
      this.redraw();
    });
  }

  place(): Place {
    const view = this.map.getView();
    const [x = 0, y = 0] = view.getCenter() ?? [];
    return { lat: toLat(y), lon: toLon(x), zoom: view.getZoom() ?? 2 };
  }

  /** west, south, east, north of what is seen, degrees. */
  extent(): [number, number, number, number] {
    const [west = 0, south = 0, east = 0, north = 0] = this.map.getView().calculateExtent(this.map.getSize());
    if (east - west >= 2 * toX(180)) return [-180, toLat(south), 180, toLat(north)];
    const wrap = (lon: number) => ((((lon + 180) % 360) + 360) % 360) - 180;
    return [wrap(toLon(west)), toLat(south), wrap(toLon(east)), toLat(north)];
  }

  goTo(place: Place, animate: boolean): void {
    const view = this.map.getView();
    const to = { center: [toX(place.lon), toY(place.lat)], zoom: place.zoom };
    if (!animate || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      view.cancelAnimations();
      view.setCenter(to.center);
      view.setZoom(to.zoom);
    } else {
      view.animate({ ...to, duration: 400 });
    }
  }

  /** Shows these with their ellipses; what lies under the open drawer counts as hidden. */
  fit(items: readonly Item[], animate = true, closest = 17): void {
    if (items.length === 0) return;
    let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const item of items) {
      const reach = Math.min(item.ce90 === null ? 0 : item.semiMajor, 5_000) / Math.cos((item.lat * Math.PI) / 180);
      minX = Math.min(minX, item.x - reach);
      minY = Math.min(minY, item.y - reach);
      maxX = Math.max(maxX, item.x + reach);
      maxY = Math.max(maxY, item.y + reach);
    }
    const [width = 1, height = 1] = this.map.getSize() ?? [];
    const view = this.map.getView();
    const resolution = Math.max((maxX - minX) / (width * 0.7), (maxY - minY) / (height * 0.7), 0.05);
    const zoom = Math.min(closest, view.getZoomForResolution(resolution) ?? closest);
    this.goTo({ lon: toLon((minX + maxX) / 2), lat: toLat((minY + maxY) / 2), zoom }, animate);
  }

  /** Whether the point is well within the view. */
  shows(item: Item): boolean {
    const [width = 0, height = 0] = this.map.getSize() ?? [];
    // Null until the first picture, whatever its type says.
    const pixel = this.map.getPixelFromCoordinate([item.x, item.y]) as number[] | null;
    const [x = -1, y = -1] = pixel ?? [];
    return x > width * 0.12 && x < width * 0.88 && y > height * 0.12 && y < height * 0.88;
  }

  /** Brings the point into the view, no closer than one already is. */
  reveal(item: Item): void {
    this.map.updateSize();
    const zoom = this.map.getView().getZoom() ?? 2;
    if (zoom < 9) return this.fit([item], true, 15);
    if (!this.shows(item)) this.goTo({ lat: item.lat, lon: item.lon, zoom }, true);
  }

  zoomBy(steps: number): void {
    const view = this.map.getView();
    view.animate({ zoom: (view.getZoom() ?? 2) + steps, duration: 200 });
    this.handlers.movedByHand();
  }

  panBy(right: number, down: number): void {
    const view = this.map.getView();
    const [x = 0, y = 0] = view.getCenter() ?? [];
    const step = 120 * (view.getResolution() ?? 1);
    view.animate({ center: [x + right * step, y - down * step], duration: 150 });
    this.handlers.movedByHand();
  }

  setItems(items: Item[]): void {
    this.scene.items = items;
    this.scene.version++;
    this.redraw();
  }

  setSelected(item: Item | null, view: View | null): void {
    this.scene.selected = item;
    this.scene.view = view;
    this.redraw();
  }

  setArea(area: Scene["area"]): void {
    this.scene.area = area;
    this.redraw();
  }

  setTheme(theme: Theme): void {
    this.scene.theme = theme;
    this.world?.setTheme(theme);
    this.base?.changed();
    this.redraw();
  }

  /** Throws where the archive cannot be read; the map that was shown stays. */
  async setBaseMap(map: BaseMap): Promise<void> {
    const layers = this.map.getLayers();
    let next: BaseLayer | null = null;
    if (map.kind !== "world") next = await (await import("./tiles")).layerOf(map, () => this.scene.theme);
    if (this.base !== null) layers.remove(this.base);
    if (this.world !== null) layers.remove(this.world.layer);
    this.base = next;
    if (next !== null) layers.insertAt(0, next);
    else if (this.world !== null) layers.insertAt(0, this.world.layer);
    this.scene.names = next === null ? (this.world?.names ?? []) : [];
    this.redraw();
  }

  redraw(): void {
    this.detections.layer.changed();
  }

  resized(): void {
    this.map.updateSize();
  }

  close(): void {
    this.map.setTarget(undefined);
    this.map.dispose();
  }

  private clicked(pixel: [number, number]): void {
    const cluster = this.detections.at(pixel);
    if (cluster === null) return this.handlers.select(null);
    const { head, count, minX, maxX, minY, maxY } = cluster;
    const view = this.map.getView();
    const apart = Math.max(maxX - minX, maxY - minY);
    const resolution = view.getResolution() ?? 1;
    // A mark of many opens up, as long as coming closer tells them apart.
    if (count > 1 && apart > resolution * 4 && (view.getZoom() ?? 0) < closestZoom - 1) {
      this.handlers.movedByHand();
      const zoom = Math.min(
        view.getZoomForResolution(apart / 300) ?? closestZoom,
        (view.getZoom() ?? 0) + 4,
        closestZoom,
      );
      return this.goTo({ lat: toLat((minY + maxY) / 2), lon: toLon((minX + maxX) / 2), zoom }, true);
    }
    this.handlers.select(head.id);
  }
}
