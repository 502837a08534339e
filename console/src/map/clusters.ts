// Many detections at once: what lies closer together than can be told apart is one mark with a count. Nothing is left
// out: the count says how many.

import type { Item } from "../data/store";

export interface Cluster {
  /** What is drawn of it: one that needs a person before one that does not, then the newest. */
  head: Item;
  count: number;
  minX: number;
  minY: number;
  maxX: number;
  maxY: number;
}

function rank(item: Item): number {
  if (item.state === "held") return 3;
  if (item.state === "dead_letter") return 2;
  return item.state === "queued" || item.state === "spooled" ? 1 : 0;
}

function before(a: Item, b: Item): boolean {
  const difference = rank(a) - rank(b);
  return difference !== 0 ? difference > 0 : a.seenMs > b.seenMs || (a.seenMs === b.seenMs && a.serial > b.serial);
}

/** Farther apart than any two rows of cells are. */
const columnStride = 67_108_864;

/** Cells of `cell` Web Mercator metres, the same for the same cell wherever the view is: nothing flickers in a pan. */
export function clustersOf(items: Iterable<Item>, cell: number): Cluster[] {
  const cells = new Map<number, Cluster>();
  for (const item of items) {
    const key = Math.floor(item.x / cell) * columnStride + Math.floor(item.y / cell);
    const cluster = cells.get(key);
    if (cluster === undefined) {
      cells.set(key, { head: item, count: 1, minX: item.x, minY: item.y, maxX: item.x, maxY: item.y });
      continue;
    }
    cluster.count++;
    if (before(item, cluster.head)) cluster.head = item;
    if (item.x < cluster.minX) cluster.minX = item.x;
    if (item.y < cluster.minY) cluster.minY = item.y;
    if (item.x > cluster.maxX) cluster.maxX = item.x;
    if (item.y > cluster.maxY) cluster.maxY = item.y;
  }
  return merged(cells, cell);
}

/** Two heads on both sides of a border between cells would lie on each other: the lesser one joins the other. */
function merged(cells: Map<number, Cluster>, cell: number): Cluster[] {
  const order = [...cells.entries()].sort(([, a], [, b]) => (before(a.head, b.head) ? -1 : 1));
  const gone = new Set<Cluster>();
  for (const [key, cluster] of order) {
    if (gone.has(cluster)) continue;
    for (let across = -1; across <= 1; across++)
      for (let along = -1; along <= 1; along++) {
        const other = cells.get(key + across * columnStride + along);
        if (other === undefined || other === cluster || gone.has(other)) continue;
        if (Math.hypot(other.head.x - cluster.head.x, other.head.y - cluster.head.y) > cell * 0.8) continue;
        if (!before(cluster.head, other.head)) continue;
        gone.add(other);
        cluster.count += other.count;
        cluster.minX = Math.min(cluster.minX, other.minX);
        cluster.minY = Math.min(cluster.minY, other.minY);
        cluster.maxX = Math.max(cluster.maxX, other.maxX);
        cluster.maxY = Math.max(cluster.maxY, other.maxY);
      }
  }
  // The ones that matter are drawn last, on top.
  return order
    .map(([, cluster]) => cluster)
    .filter((cluster) => !gone.has(cluster))
    .reverse();
}

/** 1: as new; it fades to 0.35 within an hour. What waits for somebody does not fade. */
export function freshness(item: Item, nowMs: number): number {
  if (rank(item) > 0) return 1;
  const minutes = Math.max(0, nowMs - item.seenMs) / 60_000;
  return minutes < 1 ? 1 : Math.max(0.35, 1 - (0.65 * Math.log(minutes)) / Math.log(60));
}
