// Which detections are shown. The whole filter is in the address, so that a view can be handed on.

import type { Item } from "./store";
import { flags, states, type Flag, type State } from "./types";

export interface Filter {
  flags: ReadonlySet<Flag>; // none: all
  states: ReadonlySet<State>; // none: all
  objectClass: string; // "": all
  source: string; // "": all
  /** Seen within so many minutes; null: any time. */
  minutes: number | null;
  /** Milliseconds since 1970. */
  since: number | null;
  until: number | null;
  /** west, south, east, north in degrees; west > east goes over the date line. */
  area: [number, number, number, number] | null;
}

export const noFilter: Filter = {
  flags: new Set(),
  states: new Set(),
  objectClass: "",
  source: "",
  minutes: null,
  since: null,
  until: null,
  area: null,
};

const isFlag = (text: string): text is Flag => (flags as readonly string[]).includes(text);
const isState = (text: string): text is State => (states as readonly string[]).includes(text);

/** What is not understood is left out: an address from elsewhere must not break the view. */
export function filterFromQuery(query: URLSearchParams): Filter {
  const list = (name: string) => (query.get(name) ?? "").split(",").filter((word) => word !== "");
  const time = (name: string) => {
    const ms = Date.parse(query.get(name) ?? "");
    return Number.isNaN(ms) ? null : ms;
  };
  const minutes = Number(query.get("minutes"));
  const area = list("bbox").map(Number);
  const [west, south, east, north] = area;
  const good =
    west !== undefined &&
    south !== undefined &&
    east !== undefined &&
    north !== undefined &&
    area.length === 4 &&
    area.every((value, i) => Math.abs(value) <= (i % 2 === 0 ? 180 : 90)) &&
    south <= north;
  return {
    flags: new Set(list("flag").filter(isFlag)),
    states: new Set(list("state").filter(isState)),
    objectClass: query.get("class") ?? "",
    source: query.get("source") ?? "",
    minutes: Number.isFinite(minutes) && minutes > 0 ? minutes : null,
    since: time("since"),
    until: time("until"),
    area: good ? [west, south, east, north] : null,
  };
}

/** Writes the filter over what the query says of it; the rest of the query stays. */
export function filterToQuery(filter: Filter, query: URLSearchParams): void {
  const put = (name: string, value: string) => (value === "" ? query.delete(name) : query.set(name, value));
  put("flag", [...filter.flags].join(","));
  put("state", [...filter.states].join(","));
  put("class", filter.objectClass);
  put("source", filter.source);
  put("minutes", filter.minutes === null ? "" : String(filter.minutes));
  put("since", filter.since === null ? "" : new Date(filter.since).toISOString());
  put("until", filter.until === null ? "" : new Date(filter.until).toISOString());
  put("bbox", filter.area === null ? "" : filter.area.map((value) => Number(value.toFixed(5))).join(","));
}

export function isFiltered(filter: Filter): boolean {
  const query = new URLSearchParams();
  filterToQuery(filter, query);
  return query.size > 0;
}

export function inArea(area: NonNullable<Filter["area"]>, lat: number, lon: number): boolean {
  const [west, south, east, north] = area;
  if (lat < south || lat > north) return false;
  return west <= east ? lon >= west && lon <= east : lon >= west || lon <= east;
}

export function matches(filter: Filter, item: Item, nowMs: number): boolean {
  if (filter.flags.size > 0 && !filter.flags.has(item.flag)) return false;
  if (filter.states.size > 0 && !filter.states.has(item.state)) return false;
  if (filter.objectClass !== "" && item.objectClass !== filter.objectClass) return false;
  if (filter.source !== "" && item.source !== filter.source) return false;
  if (filter.minutes !== null && item.seenMs < nowMs - filter.minutes * 60_000) return false;
  if (filter.since !== null && item.seenMs < filter.since) return false;
  if (filter.until !== null && item.seenMs > filter.until) return false;
  return filter.area === null || inArea(filter.area, item.lat, item.lon);
}
