// One login: the history, the live feed behind it without a gap, and how the service and its sinks are.

import { ApiError, getReady, type Api } from "./api";
import { may } from "./credential";
import { Feed, type FeedState } from "./feed";
import type { SseEvent } from "./sse";
import { DetectionStore, type Item } from "./store";
import type { AuditVerdict, DetectionRecord, FeedDelivery, FeedVerification, ListPage, Ready, Sink } from "./types";

export interface HistoryState {
  loading: boolean;
  loaded: number;
  problem: string | null;
}

export interface Minute {
  /** Start of the minute, seconds since 1970. */
  at: number;
  /** Received in it, by flag: GREEN, YELLOW, RED. */
  received: [number, number, number];
  /** Longest queue seen in it; null: not asked. */
  queued: number | null;
}

export interface Status {
  feed: FeedState;
  history: HistoryState;
  ready: Ready | null;
  /** Null: not allowed to see them, or not asked yet. */
  sinks: Sink[] | null;
  /** Why the sinks or the state are not known. */
  problem: string | null;
  audit: { verdict: AuditVerdict; atMs: number } | { problem: string; atMs: number } | "running" | null;
}

const pageItems = 1_000;
const pollMs = 3_000;
const sinksOf = (sinks: { sink: string }[]) => sinks.map((one) => one.sink);

export class Session {
  readonly store = new DetectionStore();
  status: Status = {
    feed: { kind: "connecting" },
    history: { loading: true, loaded: 0, problem: null },
    ready: null,
    sinks: null,
    problem: null,
    audit: null,
  };
  /** The last hour, oldest first. */
  readonly minutes = new Map<number, Minute>();
  /** Newest that arrived live. */
  latest: Item | null = null;
  private readonly feed: Feed;
  private readonly listeners = new Set<() => void>();
  /** What the feed said while the history is being read: said again over each page, which may be older. */
  private meanwhile: (() => void)[] | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private closed = false;
  private historyRun = 0;

  constructor(
    readonly api: Api,
    private readonly ended: (why: string) => void,
  ) {
    let first = true;
    this.feed = new Feed(api, {
      event: (event) => this.take(event),
      state: (state) => {
        this.patch({ feed: state });
        if (state.kind === "ended") this.ended(state.why);
        // The feed first, the history behind it: whatever comes in between is in one of them, or in both.
        if (state.kind === "live" && first) {
          first = false;
          void this.readHistory();
        }
      },
    });
  }

  start(): void {
    void this.feed.run();
    void this.poll();
    this.timer = setInterval(() => void this.poll(), pollMs);
  }

  close(): void {
    this.closed = true;
    this.feed.stop();
    clearInterval(this.timer);
  }

  retryNow(): void {
    this.feed.retryNow();
    void this.poll();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  may(scope: Parameters<typeof may>[1]): boolean {
    return may(this.api.credential, scope);
  }

  /** The newest word on one detection. */
  async record(id: string): Promise<DetectionRecord> {
    const record = await this.api.get<DetectionRecord>(`/api/v1/detections/${encodeURIComponent(id)}`);
    this.store.put(record, false);
    return record;
  }

  async decide(id: string, verified: boolean, notes: string): Promise<DetectionRecord> {
    const body = notes === "" ? { verified } : { verified, notes };
    const record = await this.api.send<DetectionRecord>(
      "PUT",
      `/api/v1/detections/${encodeURIComponent(id)}/verify`,
      body,
    );
    this.store.put(record, false);
    return record;
  }

  async retryDeadLetters(sink: string): Promise<number> {
    const answer = await this.api.send<{ retried: number }>(
      "POST",
      `/api/v1/delivery/${encodeURIComponent(sink)}/retry`,
    );
    void this.poll();
    return answer.retried;
  }

  async verifyAudit(): Promise<void> {
    this.patch({ audit: "running" });
    try {
      const verdict = await this.api.get<AuditVerdict>("/api/v1/audit/verify");
      this.patch({ audit: { verdict, atMs: Date.now() } });
    } catch (error) {
      this.patch({ audit: { problem: wordsOf(error), atMs: Date.now() } });
    }
  }

  private async readHistory(): Promise<void> {
    const run = ++this.historyRun;
    this.meanwhile ??= [];
    this.patch({ history: { loading: true, loaded: 0, problem: null } });
    let cursor: string | null = null;
    let loaded = 0;
    let problem: string | null = null;
    do {
      try {
        const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        const page: ListPage = await this.api.get<ListPage>(`/api/v1/detections?limit=${pageItems}${query}`);
        if (this.closed || run !== this.historyRun) return;
        for (const record of page.items) {
          this.count(this.store.put(record, false));
          if (loaded === 0 && this.latest === null) this.latest = this.store.get(record.detection_id) ?? null;
          loaded++;
        }
        for (const again of this.meanwhile) again();
        cursor = page.next_cursor;
        problem = null;
      } catch (error) {
        if (this.isClosed()) return;
        if (error instanceof ApiError && error.status === 401) return this.ended(error.message);
        problem = wordsOf(error);
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        if (this.isClosed()) return;
      }
      this.patch({ history: { loading: cursor !== null || problem !== null, loaded, problem } });
    } while (problem !== null || (cursor !== null && this.store.size < this.store.most));
    this.meanwhile = null;
    this.patch({ history: { loading: false, loaded, problem: null } });
  }

  private isClosed(): boolean {
    return this.closed;
  }

  private take(event: SseEvent): void {
    switch (event.event) {
      case "detection": {
        const record = JSON.parse(event.data) as DetectionRecord;
        const known = this.store.get(record.detection_id) !== undefined;
        const item = this.store.put(record, true);
        if (known) return;
        this.latest = item;
        this.count(item);
        return;
      }
      case "delivery":
        return this.now(JSON.parse(event.data) as FeedDelivery, (it) => this.store.delivered(it));
      case "verification":
        return this.now(JSON.parse(event.data) as FeedVerification, (it) => this.store.decided(it));
      case "gap":
        // What happened in between is not told any more: all is read anew.
        void this.readHistory();
    }
  }

  private now<T>(event: T, apply: (event: T) => void): void {
    apply(event);
    this.meanwhile?.push(() => apply(event));
  }

  private minute(ms: number): Minute {
    const at = Math.floor(ms / 60_000) * 60;
    let minute = this.minutes.get(at);
    if (minute === undefined) {
      minute = { at, received: [0, 0, 0], queued: null };
      this.minutes.set(at, minute);
      const oldest = Math.floor(Date.now() / 1000) - 3_660;
      for (const key of this.minutes.keys()) if (key < oldest) this.minutes.delete(key);
    }
    return minute;
  }

  private readonly counted = new WeakSet<Item>();
  private count(item: Item): void {
    if (this.counted.has(item) || item.receivedMs < Date.now() - 3_600_000) return;
    this.counted.add(item);
    this.minute(item.receivedMs).received[item.flag === "GREEN" ? 0 : item.flag === "YELLOW" ? 1 : 2]++;
  }

  private async poll(): Promise<void> {
    try {
      const ready = await getReady();
      let sinks: Sink[] | null = null;
      let problem: string | null = null;
      if (this.may("audit:read")) {
        try {
          sinks = (await this.api.get<{ sinks: Sink[] }>("/api/v1/delivery")).sinks;
        } catch (error) {
          problem = wordsOf(error);
        }
      }
      if (this.closed) return;
      this.store.setSinkNames(sinksOf(ready.sinks));
      if (sinks !== null) {
        const minute = this.minute(Date.now());
        minute.queued = Math.max(minute.queued ?? 0, ...sinks.map((sink) => sink.queued));
      }
      this.patch({ ready, sinks: sinks ?? (problem === null ? null : this.status.sinks), problem });
    } catch (error) {
      if (!this.closed) this.patch({ problem: wordsOf(error) });
    }
  }

  private patch(change: Partial<Status>): void {
    this.status = { ...this.status, ...change };
    for (const listener of this.listeners) listener();
  }
}

export function wordsOf(error: unknown): string {
  if (error instanceof TypeError) return "The service cannot be reached.";
  return error instanceof Error ? error.message : String(error);
}
