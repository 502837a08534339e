// The detections that the console knows: at most so many, the newest and those that still need a person or a way out.

import type { DetectionRecord, FeedDelivery, FeedVerification, Flag, State } from "./types";

export interface Item {
  id: string;
  lat: number;
  lon: number;
  hae: number | null;
  ce90: number | null;
  semiMajor: number;
  semiMinor: number;
  azimuth: number;
  flag: Flag;
  reasons: string[];
  objectClass: string;
  confidence: number;
  source: string;
  camera: string;
  track: string | null;
  uid: string;
  cotType: string;
  exercise: boolean;
  /** When the camera saw it, and when the service had it; milliseconds since 1970. */
  seenMs: number;
  receivedMs: number;
  state: State;
  sinks: Record<string, State>;
  /** Where a person decided: released or rejected. */
  verified: boolean | null;
  /** A newer one of the same thing (uid) is there. */
  superseded: boolean;
  /** Web Mercator metres, for the map. */
  x: number;
  y: number;
  /** Order of arrival at this console. */
  serial: number;
}

const earthM = 6_378_137;

function itemOf(record: DetectionRecord, serial: number): Item {
  const { lat, lon, hae } = record.position;
  const { ellipse } = record.accuracy;
  const clamped = Math.max(-85.06, Math.min(85.06, lat)) * (Math.PI / 180);
  return {
    id: record.detection_id,
    lat,
    lon,
    hae,
    ce90: record.accuracy.ce90_m,
    semiMajor: ellipse.semi_major_m,
    semiMinor: ellipse.semi_minor_m,
    azimuth: ellipse.azimuth_deg,
    flag: record.flag,
    reasons: record.flag_reasons,
    objectClass: record.object_class,
    confidence: record.ai_confidence,
    source: record.source,
    camera: record.camera_id,
    track: record.track_id,
    uid: record.cot.uid,
    cotType: record.cot.type,
    exercise: record.exercise,
    seenMs: Date.parse(record.timestamp),
    receivedMs: Date.parse(record.received),
    state: record.delivery.state,
    sinks: { ...record.delivery.sinks },
    verified: record.verification?.verified ?? null,
    superseded: false,
    x: earthM * lon * (Math.PI / 180),
    y: earthM * Math.log(Math.tan(Math.PI / 4 + clamped / 2)),
    serial,
  };
}

/** Still needs a person, or is on its way: it goes last when room is made. */
export function isOpen(item: Item): boolean {
  return item.state === "held" || item.state === "queued" || item.state === "dead_letter" || item.state === "spooled";
}

export interface Counts {
  all: number;
  held: number;
  undelivered: number;
}

export class DetectionStore {
  private readonly items = new Map<string, Item>();
  private readonly newestOfUid = new Map<string, Item>();
  private readonly listeners = new Set<() => void>();
  private serial = 0;
  /** Names of the sinks that the service delivers to; a detection is delivered when each of them has it. */
  private sinkNames: string[] = [];
  /** Goes up with each change. */
  version = 0;
  /** Older ones that were let go to make room. */
  forgotten = 0;

  constructor(readonly most = 20_000) {}

  get size(): number {
    return this.items.size;
  }
  get(id: string): Item | undefined {
    return this.items.get(id);
  }
  values(): IterableIterator<Item> {
    return this.items.values();
  }

  counts(): Counts {
    const counts = { all: this.items.size, held: 0, undelivered: 0 };
    for (const item of this.items.values()) {
      if (item.state === "held") counts.held++;
      else if (isOpen(item)) counts.undelivered++;
    }
    return counts;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  setSinkNames(names: string[]): void {
    this.sinkNames = names;
  }

  /** From the feed or from a list; what is known already is brought up to date, never doubled. `fresh`: just happened. */
  put(record: DetectionRecord, fresh: boolean): Item {
    const known = this.items.get(record.detection_id);
    if (known !== undefined) {
      // The feed tells the state of the acceptance; a known one may be further.
      if (!fresh) this.update(known, record);
      return known;
    }
    const item = itemOf(record, ++this.serial);
    this.items.set(item.id, item);
    const newest = this.newestOfUid.get(item.uid);
    if (newest === undefined || newest.seenMs <= item.seenMs) {
      if (newest !== undefined) newest.superseded = true;
      this.newestOfUid.set(item.uid, item);
    } else {
      item.superseded = true;
    }
    if (this.items.size > this.most + this.most / 20) this.makeRoom();
    this.changed();
    return item;
  }

  private update(item: Item, record: DetectionRecord): void {
    const { state, sinks } = record.delivery;
    item.state = state;
    item.sinks = { ...sinks };
    item.verified = record.verification?.verified ?? null;
    this.changed();
  }

  delivered(event: FeedDelivery): void {
    for (const id of event.detection_ids) {
      const item = this.items.get(id);
      if (item === undefined) continue;
      item.sinks[event.sink] = event.state;
      if (event.taken_back || item.state === "rejected") continue;
      item.state = this.wholeOf(item);
    }
    this.changed();
  }

  decided(event: FeedVerification): void {
    const item = this.items.get(event.detection_id);
    if (item === undefined) return;
    item.verified = event.verified;
    item.state = event.state;
    if (event.verified) item.sinks = {};
    this.changed();
  }

  private wholeOf(item: Item): State {
    const names = this.sinkNames.length > 0 ? this.sinkNames : Object.keys(item.sinks);
    const each = names.map((name) => item.sinks[name] ?? "queued");
    if (each.includes("dead_letter")) return "dead_letter";
    if (each.includes("queued")) return "queued";
    return each.every((state) => state === "discarded") ? "discarded" : "delivered";
  }

  /** The oldest that are done go first; of those that are not, the oldest. */
  private makeRoom(): void {
    const order = [...this.items.values()].sort(
      (a, b) => Number(isOpen(a)) - Number(isOpen(b)) || a.receivedMs - b.receivedMs || a.serial - b.serial,
    );
    for (const item of order.slice(0, this.items.size - this.most)) {
      this.items.delete(item.id);
      if (this.newestOfUid.get(item.uid) === item) this.newestOfUid.delete(item.uid);
      this.forgotten++;
    }
  }

  private changed(): void {
    this.version++;
    for (const listener of this.listeners) listener();
  }
}
