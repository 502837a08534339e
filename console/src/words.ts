// What the service's short names mean, for people.

import type { AuditEvent, Flag, State } from "./data/types";

export const stateWords: Record<State, string> = {
  held: "Held",
  queued: "Queued",
  delivered: "Delivered",
  dead_letter: "Not taken",
  rejected: "Rejected",
  discarded: "Left out",
  spooled: "Spooled",
};

export const stateSentences: Record<State, string> = {
  held: "Waits for a person: it goes to no TAK server until it is released.",
  queued: "On its way: not every TAK server has it yet.",
  delivered: "Every TAK server that should have it has it.",
  dead_letter: "A TAK server's sink refused this event. It is kept and can be tried again.",
  rejected: "A person rejected it. It is not sent, or was taken back.",
  discarded: "It goes to no TAK server: an exercise, or left out by every sink's filter.",
  spooled: "Safe on the disk of one process, waiting for the database.",
};

export const flagWords: Record<Flag, string> = {
  GREEN: "Position and class are good",
  YELLOW: "Usable with care",
  RED: "Poorly known",
};

const reasonWords: Record<string, string> = {
  ce90_above_green: "The position is less certain than GREEN allows (CE90 over the GREEN limit, 25 m by default).",
  ce90_above_red: "The position is too uncertain (CE90 over the RED limit, 100 m by default).",
  ce90_unbounded: "The error of the position cannot be bounded: the line of sight is too close to the horizon.",
  confidence_below_green: "The detector is less sure than GREEN asks for (60 % by default).",
  confidence_below_red: "The detector is not sure enough (under 40 % by default).",
  grazing: "The line of sight meets the ground at a very flat angle.",
};
export const reasonOf = (name: string): string => reasonWords[name] ?? name;

const sourceWords: Record<string, string> = {
  slant_range: "measured range",
  ground_elevation: "known height of the ground",
  above_ground: "camera's height above the ground",
  terrain: "terrain model",
};
export const positionSource = (name: string): string => sourceWords[name] ?? name;

const auditWords: Record<string, string> = {
  detection_received: "Received",
  detection_validated: "Checked",
  detection_rejected: "Refused",
  geolocation_calculated: "Located",
  cot_generated: "CoT event made",
  detection_queued: "Put into the queue",
  tak_push_attempted: "Sent to TAK",
  tak_push_success: "Delivered to TAK",
  tak_push_failed: "Not taken by TAK",
  detection_synced: "Confirmed by TAK",
  detection_verified: "Decided by a person",
  error_occurred: "Error",
};
export function auditTitle(event: AuditEvent): string {
  if (event.type === "detection_verified" && typeof event.detail.verified === "boolean")
    return event.detail.verified ? "Released by a person" : "Rejected by a person";
  if (event.type === "detection_queued" && event.detail.state === "held") return "Held for a person";
  return auditWords[event.type] ?? event.type;
}

export function metres(value: number | null): string {
  if (value === null) return "unknown";
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} km`;
  return `${value.toFixed(value < 100 ? 1 : 0)} m`;
}

export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Always UTC: operators in several zones look at one picture. */
export function clock(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 19)}Z`;
}
export function dateAndClock(ms: number): string {
  return Number.isFinite(ms) ? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}Z` : "unknown";
}
