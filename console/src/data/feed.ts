// The live feed: stays connected, comes again behind the last event that it saw, and says how it stands.

import { Api, ApiError } from "./api";
import { SseParser, type SseEvent } from "./sse";

export type FeedState =
  | { kind: "connecting" }
  | { kind: "live"; sinceMs: number; resumedAfterMs: number | null }
  | { kind: "broken"; sinceMs: number; nextTryMs: number; why: string }
  | { kind: "ended"; why: string };

export interface FeedHandlers {
  event: (event: SseEvent) => void;
  state: (state: FeedState) => void;
}

const silenceMostMs = 40_000; // the service sends a heartbeat every 15 s
const waitLeastMs = 500;
const waitMostMs = 5_000;

export class Feed {
  private lastId = "";
  private stopped = false;
  private abort: AbortController | null = null;
  private brokenSince: number | null = null;
  private wake: (() => void) | null = null;

  constructor(
    private readonly api: Api,
    private readonly handlers: FeedHandlers,
  ) {}

  /** Until stop(), or until the credential has ended. */
  async run(): Promise<void> {
    let waitMs = waitLeastMs;
    this.handlers.state({ kind: "connecting" });
    while (!this.stopped) {
      let why = "The service closed the live feed.";
      try {
        await this.readOnce(() => (waitMs = waitLeastMs));
      } catch (error) {
        if (this.isStopped()) return;
        why = error instanceof Error ? error.message : String(error);
        if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
          this.handlers.state({ kind: "ended", why });
          return;
        }
        // An id that this service no longer takes: from now on, and the caller reads what there is once more.
        if (error instanceof ApiError && error.status === 422) {
          this.lastId = "";
          this.handlers.event({ event: "gap", data: '{"reason":"unknown"}', id: "" });
        }
      }
      if (this.isStopped()) return;
      this.brokenSince ??= Date.now();
      this.handlers.state({ kind: "broken", sinceMs: this.brokenSince, nextTryMs: Date.now() + waitMs, why });
      await this.sleep(waitMs * (0.75 + Math.random() / 2));
      waitMs = Math.min(waitMostMs, waitMs * 2);
    }
  }

  /** Tries at once instead of after the rest of the wait. */
  retryNow(): void {
    this.wake?.();
  }

  stop(): void {
    this.stopped = true;
    this.abort?.abort();
    this.wake?.();
  }

  private isStopped(): boolean {
    return this.stopped;
  }

  private async readOnce(live: () => void): Promise<void> {
    const abort = new AbortController();
    const parser = new SseParser((event) => this.take(event));
    this.abort = abort;
    let silence = setTimeout(() => abort.abort(), silenceMostMs);
    try {
      const headers: Record<string, string> = this.lastId === "" ? {} : { "Last-Event-ID": this.lastId };
      const answer = await this.api.request("/api/v1/events", {
        accept: "text/event-stream",
        headers,
        signal: abort.signal,
      });
      if (answer.body === null) throw new Error("The live feed has no body.");
      live();
      const now = Date.now();
      this.handlers.state({
        kind: "live",
        sinceMs: now,
        resumedAfterMs: this.brokenSince === null ? null : now - this.brokenSince,
      });
      this.brokenSince = null;
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), silenceMostMs);
        parser.push(value);
        // Also of a block without an event: the first one says where the feed begins.
        if (parser.lastEventId !== "") this.lastId = parser.lastEventId;
      }
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw new Error(
        abort.signal.aborted
          ? "Nothing was heard of the service for 40 seconds."
          : "The connection to the service broke.",
        { cause: error },
      );
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }

  private take(event: SseEvent): void {
    if (event.id !== "") this.lastId = event.id;
    if (event.event === "end") {
      const { reason } = JSON.parse(event.data) as { reason: string };
      throw new ApiError(401, "unauthorized", reason);
    }
    this.handlers.event(event);
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const wake = done;
      function done() {
        clearTimeout(timer);
        resolve();
      }
      this.wake = wake;
    });
  }
}
