// The last hour as uPlot takes it.

import type { Minute } from "../data/session";

const minutes = 60;

/** Columns for uPlot: times, then GREEN, YELLOW on it, RED on it (stacked from the top down), then the queue. */
export function columnsOf(byMinute: ReadonlyMap<number, Minute>, nowMs: number): (number | null)[][] {
  const last = Math.floor(nowMs / 60_000) * 60;
  const columns: (number | null)[][] = [[], [], [], [], []];
  for (let at = last - (minutes - 1) * 60; at <= last; at += 60) {
    const minute = byMinute.get(at);
    const [green, yellow, red] = minute?.received ?? [0, 0, 0];
    const row = [at, green + yellow + red, green + yellow, green, minute?.queued ?? null];
    row.forEach((value, i) => columns[i]?.push(value));
  }
  return columns;
}
