// What the screen keeps of itself: in the address, to be handed on; in the browser, what is no secret.

import { noFilter, type Filter } from "../data/filter";
import type { Theme } from "../map/symbol";
import type { Place } from "../map/view";
import type { Quick } from "./status_bar";

export const newMinutes = 5;

/** Settings, no secrets: the theme and the path of a base map. A browser that keeps nothing is no reason to fail. */
export const settings = {
  get: (name: string): string | null => {
    try {
      return localStorage.getItem(`console.${name}`);
    } catch {
      return null;
    }
  },
  set: (name: string, value: string) => {
    try {
      localStorage.setItem(`console.${name}`, value);
    } catch {
      // Private browsing.
    }
  },
};

export function firstTheme(): Theme {
  const kept = settings.get("theme");
  if (kept === "day" || kept === "night") return kept;
  return matchMedia("(prefers-color-scheme: light)").matches ? "day" : "night";
}

export function placeFromQuery(query: URLSearchParams): Place | null {
  const [lat, lon, zoom] = (query.get("view") ?? "").split(",").map(Number);
  if (lat === undefined || lon === undefined || zoom === undefined) return null;
  const good = Math.abs(lat) <= 85 && Math.abs(lon) <= 180 && zoom >= 1 && zoom <= 21;
  return good ? { lat, lon, zoom } : null;
}

export function quickOf(filter: Filter): Quick {
  const only = (change: Partial<Filter>) =>
    JSON.stringify(plain({ ...noFilter, ...change })) === JSON.stringify(plain(filter));
  if (only({ states: new Set(["held"]) })) return "held";
  if (only({ states: new Set(["queued", "dead_letter", "spooled"]) })) return "undelivered";
  return only({ minutes: newMinutes }) ? "new" : "all";
}
const plain = (filter: Filter) => ({ ...filter, flags: [...filter.flags], states: [...filter.states].sort() });

export const quickFilters: Record<Quick, Filter> = {
  all: noFilter,
  held: { ...noFilter, states: new Set(["held"]) },
  undelivered: { ...noFilter, states: new Set(["queued", "dead_letter", "spooled"]) },
  new: { ...noFilter, minutes: newMinutes },
};

export function writeAddress(change: (query: URLSearchParams) => void): void {
  const query = new URLSearchParams(location.search);
  change(query);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  const next = location.pathname + (text === "" ? "" : `?${text}`);
  if (next !== location.pathname + location.search) history.replaceState(null, "", next);
}
