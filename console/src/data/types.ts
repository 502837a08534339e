// The answers of the API, as far as the console reads them (openapi/openapi.json).

import type { Pose } from "../geo/camera";

export type Flag = "GREEN" | "YELLOW" | "RED";
export const flags: readonly Flag[] = ["GREEN", "YELLOW", "RED"];

export type State = "queued" | "held" | "delivered" | "rejected" | "dead_letter" | "discarded" | "spooled";
export const states: readonly State[] = [
  "held",
  "queued",
  "delivered",
  "dead_letter",
  "rejected",
  "discarded",
  "spooled",
];

export interface Verification {
  verified: boolean;
  notes: string;
  actor: string;
  time: string;
}

export interface DetectionRecord {
  detection_id: string;
  position: { lat: number; lon: number; hae: number | null; source: string };
  accuracy: {
    ce90_m: number | null;
    le90_m: number | null;
    ellipse: { semi_major_m: number; semi_minor_m: number; azimuth_deg: number; probability: number };
    covariance_enu: number[];
  };
  flag: Flag;
  flag_reasons: string[];
  slant_range_m: number;
  grazing_deg: number;
  cot: { uid: string; type: string };
  delivery: { state: State; sinks: Record<string, State> };
  object_class: string;
  ai_confidence: number;
  source: string;
  camera_id: string;
  track_id: string | null;
  timestamp: string;
  received: string;
  exercise: boolean;
  verification: Verification | null;
  request: {
    pixel_x?: number;
    pixel_y?: number;
    bbox?: number[];
    sensor_metadata?: Pose & Record<string, unknown>;
  } | null;
}

export interface ListPage {
  items: DetectionRecord[];
  next_cursor: string | null;
}

export interface FeedDelivery {
  sink: string;
  state: State;
  taken_back: boolean;
  detection_ids: string[];
  time: string;
}

export interface FeedVerification extends Verification {
  detection_id: string;
  state: State;
}

export interface AuditEvent {
  time: string;
  type: string;
  severity: "INFO" | "WARNING" | "ERROR";
  actor: string;
  chain: string;
  record: number;
  detail: Record<string, unknown>;
}

export interface Sink {
  sink: string;
  url: string;
  delivers: boolean;
  delivers_reason: string;
  state: "connecting" | "connected" | "waiting";
  since: string | null;
  connected: boolean;
  protocol: string;
  last_error: string | null;
  last_error_at: string | null;
  certificate_expires: string | null;
  round_trip_ms: number | null;
  confirms: boolean;
  confirmation: string;
  queued: number;
  oldest_age_s: number | null;
  delivered: number;
  omitted: number;
  dead_letters: number;
  delivered_per_s: number;
}

export interface Ready {
  status: "ready" | "not_ready";
  reason: string | null;
  store: { writable: boolean; waiting: number; reason: string | null };
  spool: { items: number; oldest_age_s: number | null } | null;
  release: { slot: string; active_slot: string | null; delivers: boolean };
  sinks: { sink: string; connected: boolean; confirms: boolean }[];
}

export interface AuditVerdict {
  valid: boolean;
  records: number;
  chains: { name: string; records: number }[];
  first_bad: string | null;
}

export interface Problem {
  title: string;
  status: number;
  detail?: string;
  code: string;
  errors?: { field: string; message: string }[];
}
