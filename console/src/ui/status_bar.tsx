// The strip on top: is this live, what waits, how are the TAK servers.

import type { Session, Status } from "../data/session";
import type { Counts } from "../data/store";
import { age, clock } from "../words";
import { Keys, useNow } from "./parts";

export type Quick = "all" | "held" | "undelivered" | "new";

interface Props {
  session: Session;
  status: Status;
  counts: Counts;
  quick: Quick;
  pick: (quick: Quick) => void;
  openOperation: () => void;
}

export function StatusBar({ session, status, counts, quick, pick, openOperation }: Props) {
  const now = useNow(1_000);
  const chip = (name: Quick, count: number | null, label: string, key: string, urgent: boolean) => (
    <button
      type="button"
      class={`chip chip-${name} ${urgent ? "urgent" : ""}`}
      aria-pressed={quick === name}
      onClick={() => pick(name)}
      title={`${label} (key ${key})`}
    >
      {count !== null && <strong>{count.toLocaleString("en")}</strong>} {label} <Keys>{key}</Keys>
    </button>
  );
  return (
    <header class="status-bar">
      <Connection session={session} status={status} now={now} />
      <nav class="chips" aria-label="Quick filters">
        {chip("all", counts.all, "detections", "a", false)}
        {chip("held", counts.held, "held", "h", counts.held > 0)}
        {chip("undelivered", counts.undelivered, "undelivered", "u", counts.undelivered > 0)}
        {chip("new", null, "newest 5 min", "n", false)}
      </nav>
      <Sinks status={status} open={openOperation} />
      <span class="clock" title="Coordinated universal time">
        {clock(now)}
      </span>
    </header>
  );
}

function Connection({ session, status, now }: { session: Session; status: Status; now: number }) {
  const { feed, history } = status;
  const [kind, title, rest] = ((): [string, string, string] => {
    switch (feed.kind) {
      case "connecting":
        return ["waiting", "Connecting", "to the live feed…"];
      case "ended":
        return ["broken", "Ended", feed.why];
      case "broken": {
        const next = Math.max(0, Math.ceil((feed.nextTryMs - now) / 1000));
        return [
          "broken",
          "Not live",
          `for ${age(now - feed.sinceMs)}. ${feed.why} ${next > 0 ? `Again in ${next} s.` : "Trying…"}`,
        ];
      }
      case "live": {
        if (feed.resumedAfterMs !== null && now - feed.sinceMs < 20_000)
          return ["live", "Live", `again after ${age(feed.resumedAfterMs)}: resumed, nothing was missed.`];
        if (history.problem !== null) return ["live", "Live", `History: ${history.problem} Trying again…`];
        if (history.loading && history.loaded > 0)
          return ["live", "Live", `loading history: ${history.loaded.toLocaleString("en")}…`];
        return ["live", "Live", ""];
      }
    }
  })();
  return (
    <div class={`connection ${kind}`} role="status" data-feed={feed.kind}>
      <span class="dot" aria-hidden="true" />
      <strong>{title}</strong> <span class="rest">{rest}</span>
      {feed.kind === "broken" && (
        <button type="button" class="small" onClick={() => session.retryNow()}>
          Try now
        </button>
      )}
    </div>
  );
}

function Sinks({ status, open }: { status: Status; open: () => void }) {
  const { ready, sinks, problem } = status;
  const words = ((): [string, string] => {
    if (ready === null) return ["waiting", problem ?? "TAK: asking…"];
    if (ready.sinks.length === 0) return ["waiting", "No TAK server is configured"];
    const away = ready.sinks.filter((sink) => !sink.connected);
    const oldest = Math.max(0, ...(sinks ?? []).map((sink) => sink.oldest_age_s ?? 0));
    const queued = Math.max(0, ...(sinks ?? []).map((sink) => sink.queued));
    const queue =
      sinks === null
        ? ""
        : queued === 0
          ? ", queue empty"
          : `, ${queued.toLocaleString("en")} queued, oldest ${age(oldest * 1000)}`;
    if (away.length > 0) return ["broken", `TAK: ${away.map((sink) => sink.sink).join(", ")} not connected${queue}`];
    return ["live", `TAK: ${ready.sinks.length === 1 ? "connected" : `${ready.sinks.length} connected`}${queue}`];
  })();
  return (
    <button
      type="button"
      class={`sinks ${words[0]}`}
      onClick={open}
      title="Sinks, queues, audit, the last hour (key o)"
    >
      <span class="dot" aria-hidden="true" />
      {words[1]} <Keys>o</Keys>
    </button>
  );
}
