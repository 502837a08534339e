import { describe, expect, it } from "vitest";
import { columnsOf } from "../ui/columns";
import { baseMapOf, ownPath } from "../map/base_map";
import { apiKeyParts, may, readToken } from "./credential";
import { filterFromQuery, filterToQuery, inArea, matches, noFilter } from "./filter";
import { SseParser, type SseEvent } from "./sse";
import { DetectionStore } from "./store";
import type { DetectionRecord, State } from "./types";

function record(id: string, change: Partial<DetectionRecord> = {}): DetectionRecord {
  return {
    detection_id: id,
    position: { lat: 60, lon: 24, hae: null, source: "above_ground" },
    accuracy: {
      ce90_m: 10,
      le90_m: null,
      ellipse: { semi_major_m: 12, semi_minor_m: 8, azimuth_deg: 0, probability: 0.9 },
      covariance_enu: [],
    },
    flag: "GREEN",
    flag_reasons: [],
    slant_range_m: 100,
    grazing_deg: 90,
    cot: { uid: `DET.${id}`, type: "a-u-G" },
    delivery: { state: "queued", sinks: {} },
    object_class: "vehicle",
    ai_confidence: 0.9,
    source: "uav-1",
    camera_id: "eo-1",
    track_id: null,
    timestamp: "2026-11-26T12:00:00Z",
    received: "2026-11-26T12:00:00.100Z",
    exercise: false,
    verification: null,
    request: null,
    ...change,
  };
}
const delivery = (sink: string, state: State, ...detection_ids: string[]) => ({
  sink,
  state,
  taken_back: false,
  detection_ids,
  time: "",
});

describe("server-sent events", () => {
  const parse = (...chunks: string[]) => {
    const events: SseEvent[] = [];
    const parser = new SseParser((event) => events.push(event));
    const encoder = new TextEncoder();
    for (const chunk of chunks) parser.push(encoder.encode(chunk));
    return events;
  };

  it("come out whole however they are cut", () => {
    const text =
      'retry: 2000\n: hello\n\nid: 7\nevent: detection\ndata: {"a":"ü"}\n\n: heartbeat\n\ndata: x\r\ndata: y\r\n\r\n';
    const whole = parse(text);
    expect(whole).toEqual([
      { event: "detection", data: '{"a":"ü"}', id: "7" },
      { event: "message", data: "x\ny", id: "7" },
    ]);
    const bytes = new TextEncoder().encode(text);
    for (let cut = 1; cut < bytes.length; cut++) {
      const events: SseEvent[] = [];
      const parser = new SseParser((event) => events.push(event));
      parser.push(bytes.slice(0, cut));
      parser.push(bytes.slice(cut));
      expect(events).toEqual(whole);
    }
  });

  it("are gone on behind the last whole block, also one that says only where the feed begins", () => {
    const parser = new SseParser(() => undefined);
    const encoder = new TextEncoder();
    parser.push(encoder.encode("retry: 2000\nid: 7\n: hello\n"));
    expect(parser.lastEventId).toBe("");
    parser.push(encoder.encode("\n"));
    expect(parser.lastEventId).toBe("7");
    parser.push(encoder.encode("id: 8\nevent: detection\ndata: {}\n"));
    expect(parser.lastEventId).toBe("7");
  });

  it("without an end are refused", () => {
    const parser = new SseParser(() => undefined, 100);
    expect(() => parser.push(new Uint8Array(101).fill(65))).toThrow();
  });
});

describe("store", () => {
  it("doubles nothing, and a list does not set back what the feed told", () => {
    const store = new DetectionStore();
    store.setSinkNames(["tak"]);
    store.put(record("a"), true);
    store.put(record("a"), true);
    store.delivered(delivery("tak", "delivered", "a", "unknown"));
    store.put(record("a"), true);
    expect(store.size).toBe(1);
    expect(store.get("a")?.state).toBe("delivered");
  });

  it("is delivered when every sink has it or left it out", () => {
    const store = new DetectionStore();
    store.setSinkNames(["one", "two"]);
    store.put(record("a"), true);
    store.delivered(delivery("one", "delivered", "a"));
    expect(store.get("a")?.state).toBe("queued");
    store.delivered(delivery("two", "dead_letter", "a"));
    expect(store.get("a")?.state).toBe("dead_letter");
    store.delivered(delivery("two", "queued", "a"));
    expect(store.get("a")?.state).toBe("queued");
    store.delivered(delivery("two", "discarded", "a"));
    expect(store.get("a")?.state).toBe("delivered");
  });

  it("follows decisions, and a rejected one stays rejected when the delete event is delivered", () => {
    const store = new DetectionStore();
    store.setSinkNames(["tak"]);
    store.put(record("a", { delivery: { state: "held", sinks: {} } }), true);
    const decision = { detection_id: "a", notes: "", actor: "", time: "" };
    store.decided({ ...decision, verified: true, state: "queued" });
    store.delivered(delivery("tak", "delivered", "a"));
    expect(store.get("a")?.state).toBe("delivered");
    store.decided({ ...decision, verified: false, state: "rejected" });
    store.delivered({ ...delivery("tak", "delivered", "a"), taken_back: true });
    expect(store.get("a")).toMatchObject({ state: "rejected", verified: false });
  });

  it("knows the newest of a thing", () => {
    const store = new DetectionStore();
    const cot = { uid: "DET.uav-1.t1", type: "a-u-G" };
    store.put(record("new", { cot, timestamp: "2026-11-26T12:00:05Z" }), true);
    store.put(record("old", { cot, timestamp: "2026-11-26T12:00:01Z" }), true);
    store.put(record("newest", { cot, timestamp: "2026-11-26T12:00:09Z" }), true);
    expect(["new", "old", "newest"].map((id) => store.get(id)?.superseded)).toEqual([true, true, false]);
  });

  it("lets the oldest that are done go first, and counts them", () => {
    const store = new DetectionStore(100);
    for (let i = 0; i < 300; i++) {
      const received = new Date(1e12 + i * 1000).toISOString();
      const state: State = i < 20 ? "held" : "delivered";
      store.put(record(String(i), { received, delivery: { state, sinks: {} } }), true);
    }
    expect(store.size).toBeLessThanOrEqual(105);
    expect(store.size + store.forgotten).toBe(300);
    expect(store.counts().held).toBe(20);
    expect(store.get("299")).toBeDefined();
    expect(store.get("21")).toBeUndefined();
  });
});

describe("filter", () => {
  it("goes through an address and comes back the same", () => {
    const filter = {
      ...noFilter,
      flags: new Set(["RED", "YELLOW"] as const),
      states: new Set(["held"] as const),
      objectClass: "vehicle",
      source: "uav-1&x=<b>",
      minutes: 15,
      since: Date.parse("2026-11-26T12:00:00Z"),
      area: [170, -10, -170, 10] as [number, number, number, number],
    };
    const query = new URLSearchParams("view=1,2,3");
    filterToQuery(filter, query);
    expect(filterFromQuery(new URLSearchParams(query.toString()))).toEqual(filter);
    filterToQuery(noFilter, query);
    expect(query.toString()).toBe("view=1%2C2%2C3");
  });

  it("leaves out what it does not understand", () => {
    expect(filterFromQuery(new URLSearchParams("flag=BLUE,<x>&state=gone&minutes=-1&since=soon&bbox=1,2,3"))).toEqual(
      noFilter,
    );
    expect(filterFromQuery(new URLSearchParams("bbox=0,0,500,1")).area).toBeNull();
    expect(filterFromQuery(new URLSearchParams("bbox=0,9,1,1")).area).toBeNull();
  });

  it("fits by each of its parts", () => {
    const store = new DetectionStore();
    const item = store.put(record("a"), true);
    const at = item.seenMs + 60_000;
    expect(matches(noFilter, item, at)).toBe(true);
    for (const [change, fits] of [
      [{ flags: new Set(["GREEN"]) }, true],
      [{ flags: new Set(["RED"]) }, false],
      [{ states: new Set(["held"]) }, false],
      [{ objectClass: "person" }, false],
      [{ source: "uav-2" }, false],
      [{ minutes: 2 }, true],
      [{ minutes: 0.5 }, false],
      [{ since: at }, false],
      [{ until: item.seenMs - 1 }, false],
      [{ area: [23, 59, 25, 61] }, true],
      [{ area: [25, 59, 26, 61] }, false],
    ] as const)
      expect(matches({ ...noFilter, ...(change as object) }, item, at)).toBe(fits);
    expect(inArea([170, -10, -170, 10], 0, 179)).toBe(true);
    expect(inArea([170, -10, -170, 10], 0, 0)).toBe(false);
  });
});

describe("credentials", () => {
  it("say what they may", () => {
    const payload = btoa(JSON.stringify({ sub: "op", scope: "detections:read audit:read", exp: 1_800_000_000 }));
    const token = readToken(`h.${payload}.s`);
    expect(token.subject).toBe("op");
    expect(token.expiresMs).toBe(1_800_000_000_000);
    expect(may(token, "audit:read")).toBe(true);
    expect(may(token, "detections:verify")).toBe(false);
    expect(may(readToken("no token"), "admin")).toBe(true); // not known: the service decides
    expect(readToken("a.!!!.c").scopes).toBeNull();
    expect(apiKeyParts("dsk_3f9c_a_b")).toEqual({ id: "dsk_3f9c", secret: "a_b" });
    expect(apiKeyParts("x.y.z")).toBeNull();
  });
});

describe("base maps", () => {
  it("come from this server only", () => {
    expect(ownPath("/tiles/{z}/{x}/{y}.png")).not.toBeNull();
    for (const text of [
      "//evil.example/{z}",
      "https://evil.example/",
      "/\\evil.example",
      "tiles/{z}",
      "",
      "javascript:x",
    ])
      expect(ownPath(text)).toBeNull();
    expect(baseMapOf("/a/{z}/{x}/{y}.png")?.kind).toBe("xyz");
    expect(baseMapOf("/maps/town.pmtiles")?.kind).toBe("pmtiles");
    expect(baseMapOf("/maps/town.zip")).toBeNull();
  });
});

describe("the last hour", () => {
  it("has sixty minutes, stacked", () => {
    const now = 1_800_000_030_000;
    const at = 1_800_000_000;
    const columns = columnsOf(new Map([[at, { at, received: [5, 2, 1], queued: 9 }]]), now);
    expect(columns.map((column) => column.length)).toEqual([60, 60, 60, 60, 60]);
    expect(columns.map((column) => column.at(-1))).toEqual([at, 8, 7, 5, 9]);
    expect(columns.map((column) => column[0])).toEqual([at - 59 * 60, 0, 0, 0, null]);
  });
});
