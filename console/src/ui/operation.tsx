// How delivery and the record are: sinks, queues, the audit chain, the last hour.

import { useEffect, useState } from "preact/hooks";
import { wordsOf, type Session, type Status } from "../data/session";
import type { Sink } from "../data/types";
import type { Theme } from "../map/symbol";
import { age, clock, dateAndClock } from "../words";
import { Chart } from "./chart";
import { Icon, useNow } from "./parts";

export function Operation({
  session,
  status,
  theme,
  close,
}: {
  session: Session;
  status: Status;
  theme: Theme;
  close: () => void;
}) {
  const now = useNow(1_000);
  const mayAudit = session.may("audit:read");
  useEffect(() => {
    if (mayAudit && status.audit === null) void session.verifyAudit();
  }, []);
  return (
    <aside class="operation" aria-label="Operation">
      <div class="head">
        <h2>Operation</h2>
        <button type="button" class="icon" onClick={close} title="Close (Esc)" aria-label="Close">
          <Icon name="close" />
        </button>
      </div>
      <div class="body">
        <Service status={status} />
        <section>
          <h3>TAK servers</h3>
          {!mayAudit && (
            <p class="small">
              Queues and errors need a key with the scope <code>audit:read</code>.
            </p>
          )}
          {status.problem !== null && (
            <p class="problem" role="alert">
              {status.problem}
            </p>
          )}
          {status.sinks === null &&
            (status.ready?.sinks ?? []).map((sink) => (
              <div key={sink.sink} class="sink">
                <h4>{sink.sink}</h4>
                <p>{sink.connected ? "Connected" : "Not connected"}</p>
              </div>
            ))}
          {status.sinks?.map((sink) => (
            <SinkCard key={sink.sink} sink={sink} session={session} now={now} />
          ))}
          {status.sinks?.length === 0 && <p>None is configured: detections are recorded and go nowhere.</p>}
        </section>
        <section>
          <h3>The last hour</h3>
          <Chart byMinute={session.minutes} theme={theme} now={now} />
        </section>
        {mayAudit && <Audit session={session} status={status} now={now} />}
      </div>
    </aside>
  );
}

function Service({ status }: { status: Status }) {
  const { ready } = status;
  if (ready === null) return <p class="small">Asking the service…</p>;
  const { release, spool } = ready;
  return (
    <section>
      <h3>Service</h3>
      <p>
        {ready.status === "ready"
          ? "Ready: it takes detections."
          : `Not ready: ${ready.reason ?? "it does not say why"}.`}{" "}
        {!ready.store.writable && ready.store.reason !== null && `The store: ${ready.store.reason}.`}
        {spool !== null && spool.items > 0 && ` ${spool.items.toLocaleString("en")} wait in the spool.`}
        {release.slot !== "" &&
          ` Slot ${release.slot}; ${release.delivers ? "it delivers" : `${release.active_slot ?? "none"} delivers`}.`}
      </p>
    </section>
  );
}

function SinkCard({ sink, session, now }: { sink: Sink; session: Session; now: number }) {
  const [said, setSaid] = useState<string | null>(null);
  const retry = () => {
    session.retryDeadLetters(sink.sink).then(
      (count) => setSaid(`${count} are tried again.`),
      (error: unknown) => setSaid(wordsOf(error)),
    );
  };
  const expires = sink.certificate_expires === null ? null : Date.parse(sink.certificate_expires);
  return (
    <div class={`sink ${sink.connected ? "up" : "down"}`}>
      <h4>
        {sink.sink} <span class="small">{sink.url}</span>
      </h4>
      <p class="state-line">
        <span class={`dot ${sink.connected ? "live" : "broken"}`} aria-hidden="true" />
        {sink.connected ? "Connected" : sink.state === "connecting" ? "Connecting" : "Not connected"}
        {sink.since !== null && ` for ${age(now - Date.parse(sink.since))}`}
        {sink.protocol !== "" && `, ${sink.protocol}`}, {sink.confirmation}
        {sink.round_trip_ms !== null && `, answers in ${sink.round_trip_ms.toFixed(1)} ms`}
      </p>
      {!sink.delivers && <p class="small">{sink.delivers_reason}</p>}
      <dl>
        <dt>Queued</dt>
        <dd>
          {sink.queued.toLocaleString("en")}
          {sink.oldest_age_s !== null && `, the oldest for ${age(sink.oldest_age_s * 1000)}`}
        </dd>
        <dt>Rate</dt>
        <dd>{sink.delivered_per_s.toFixed(1)} / s</dd>
        <dt>Delivered</dt>
        <dd>
          {sink.delivered.toLocaleString("en")}
          {sink.omitted > 0 && `, ${sink.omitted.toLocaleString("en")} left out`}
        </dd>
        <dt>Not taken</dt>
        <dd>
          {sink.dead_letters.toLocaleString("en")}{" "}
          {sink.dead_letters > 0 && session.may("admin") && (
            <button type="button" class="small" onClick={retry}>
              Try again
            </button>
          )}
          {said !== null && <span role="status"> {said}</span>}
        </dd>
        {expires !== null && (
          <>
            <dt>Certificate</dt>
            <dd>
              until {dateAndClock(expires)}
              {expires - now < 30 * 86_400_000 && " (soon)"}
            </dd>
          </>
        )}
        {sink.last_error !== null && (
          <>
            <dt>Last error</dt>
            <dd>
              {sink.last_error}
              {sink.last_error_at !== null && ` (${age(now - Date.parse(sink.last_error_at))} ago)`}
            </dd>
          </>
        )}
      </dl>
    </div>
  );
}

function Audit({ session, status, now }: { session: Session; status: Status; now: number }) {
  const { audit } = status;
  return (
    <section>
      <h3>Audit</h3>
      <p
        class={audit !== null && audit !== "running" && "verdict" in audit && !audit.verdict.valid ? "problem" : ""}
        role="status"
      >
        {audit === null && "Not verified yet."}
        {audit === "running" && "Walking the hash chains…"}
        {audit !== null &&
          audit !== "running" &&
          ("problem" in audit
            ? `Could not be verified: ${audit.problem}`
            : audit.verdict.valid
              ? `Every record is as it was written: ${audit.verdict.records.toLocaleString("en")} records in ${audit.verdict.chains.length} ${audit.verdict.chains.length === 1 ? "chain" : "chains"}, verified ${clock(audit.atMs)} (${age(now - audit.atMs)} ago).`
              : `The chain is broken at ${audit.verdict.first_bad ?? "an unknown place"}: records were changed. Verified ${clock(audit.atMs)}.`)}
      </p>
      <button type="button" disabled={audit === "running"} onClick={() => void session.verifyAudit()}>
        Verify now
      </button>
    </section>
  );
}
