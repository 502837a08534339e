// One detection: where, how well known, why that flag, what became of it, and the decision on a held one.

import { useEffect, useRef, useState } from "preact/hooks";
import { wordsOf, type Session } from "../data/session";
import type { Item } from "../data/store";
import type { AuditEvent, DetectionRecord } from "../data/types";
import { formatLatLon, formatMgrs, formatUtm } from "../geo/coordinates";
import * as words from "../words";
import { Copy, FlagMark, Icon, Keys, StateMark } from "./parts";

interface Props {
  session: Session;
  item: Item;
  record: DetectionRecord | null;
  problem: string | null;
  close: () => void;
  show: () => void;
  decided: (record: DetectionRecord) => void;
}

export function Detail({ session, item, record, problem, close, show, decided }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // For whoever comes by the keyboard from the list; a click on the map keeps the focus there.
    if (document.activeElement?.closest(".rows") === null) return;
    heading.current?.scrollIntoView({ block: "nearest" });
  }, [item.id]);
  return (
    <aside class="detail" aria-label="Selected detection">
      <div class="head">
        <h2 ref={heading}>
          <FlagMark flag={item.flag} word /> {item.objectClass}
        </h2>
        <button type="button" class="icon" onClick={show} title="Show on the map (key z)" aria-label="Show on the map">
          <Icon name="aim" />
        </button>
        <button type="button" class="icon" onClick={close} title="Close (Esc)" aria-label="Close">
          <Icon name="close" />
        </button>
      </div>
      <div class="body">
        {item.exercise && <p class="notice">An exercise: it goes to no TAK server.</p>}
        <p class="sentence">
          <StateMark state={item.state} /> {words.stateSentences[item.state]}
        </p>
        <Decide session={session} item={item} record={record} decided={decided} />
        <Position item={item} />
        <Accuracy item={item} record={record} />
        <Source item={item} record={record} />
        {problem !== null && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <Delivery item={item} />
        <Timeline key={`t${item.id}`} session={session} item={item} />
        <Cot key={`c${item.id}`} session={session} item={item} />
      </div>
    </aside>
  );
}

function Decide({ session, item, record, decided }: Pick<Props, "session" | "item" | "record" | "decided">) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const notes = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    setProblem(null);
    if (notes.current !== null) notes.current.value = "";
  }, [item.id]);
  const verification = record?.detection_id === item.id ? record.verification : null;
  const wasHeld = item.state === "held" || item.verified !== null;
  if (!wasHeld) return null;
  const decide = async (verified: boolean) => {
    setBusy(true);
    setProblem(null);
    try {
      decided(await session.decide(item.id, verified, notes.current?.value.trim() ?? ""));
      if (notes.current !== null) notes.current.value = "";
    } catch (error) {
      setProblem(wordsOf(error));
    }
    setBusy(false);
  };
  const allowed = session.may("detections:verify");
  return (
    <section class={`decide ${item.state === "held" ? "open" : ""}`} aria-label="Decision">
      {item.verified !== null && (
        <p>
          <strong>{item.verified ? "Released" : "Rejected"}</strong>
          {verification !== null && (
            <>
              {" "}
              by {verification.actor}, {words.dateAndClock(Date.parse(verification.time))}
              {verification.notes !== "" && <q class="notes">{verification.notes}</q>}
            </>
          )}
        </p>
      )}
      {!allowed && (
        <p class="small">
          To release or reject it a key with the scope <code>detections:verify</code> is needed.
        </p>
      )}
      {allowed && (
        <>
          <label for="notes">{item.verified === null ? "Note (kept in the audit)" : "Note on a change of mind"}</label>
          <textarea id="notes" ref={notes} rows={2} maxLength={1000} />
          <div class="buttons">
            {item.verified !== true && (
              <button type="button" class="primary" disabled={busy} onClick={() => void decide(true)}>
                Release to TAK <Keys>r</Keys>
              </button>
            )}
            {item.verified !== false && (
              <button type="button" class="danger" disabled={busy} onClick={() => void decide(false)}>
                {item.verified === true ? "Take back and reject" : "Reject"} <Keys>x</Keys>
              </button>
            )}
          </div>
          {item.verified === true && (
            <p class="small">Taking it back sends TAK a delete event where it already had the detection.</p>
          )}
        </>
      )}
      <p class="problem" role="alert">
        {problem}
      </p>
    </section>
  );
}

function Position({ item }: { item: Item }) {
  const latLon = formatLatLon(item);
  return (
    <section>
      <h3>Position</h3>
      <dl>
        <dt>Lat / lon</dt>
        <dd>
          <Copy name="latitude and longitude" value={`${item.lat}, ${item.lon}`} shown={latLon} />
        </dd>
        <dt>MGRS</dt>
        <dd>
          <CopyOrNone name="MGRS" value={formatMgrs(item)} />
        </dd>
        <dt>UTM</dt>
        <dd>
          <CopyOrNone name="UTM" value={formatUtm(item)} />
        </dd>
        <dt>Height</dt>
        <dd>{item.hae === null ? "unknown" : `${item.hae.toFixed(1)} m above the ellipsoid`}</dd>
      </dl>
    </section>
  );
}

function CopyOrNone({ name, value }: { name: string; value: string | null }) {
  return value === null ? <>not defined near the poles</> : <Copy name={name} value={value} />;
}

function Accuracy({ item, record }: { item: Item; record: DetectionRecord | null }) {
  return (
    <section>
      <h3>How well it is known</h3>
      <dl>
        <dt>CE90</dt>
        <dd>
          <strong>{words.metres(item.ce90)}</strong>
          {item.ce90 !== null && " (90 % within this radius)"}
        </dd>
        <dt>LE90</dt>
        <dd>{words.metres(record?.accuracy.le90_m ?? null)}</dd>
        <dt>Ellipse</dt>
        <dd>
          {words.metres(item.semiMajor)} × {words.metres(item.semiMinor)}, axis {item.azimuth.toFixed(0)}° (90 %)
        </dd>
        <dt>Detector</dt>
        <dd>{(item.confidence * 100).toFixed(0)} % sure</dd>
      </dl>
      <p class="reason-head">
        <FlagMark flag={item.flag} word />: {words.flagWords[item.flag]}
      </p>
      {item.reasons.length > 0 && (
        <ul class="reasons">
          {item.reasons.map((name) => (
            <li key={name}>{words.reasonOf(name)}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Source({ item, record }: { item: Item; record: DetectionRecord | null }) {
  const pose = record?.request?.sensor_metadata;
  return (
    <section>
      <h3>Where it is from</h3>
      <dl>
        <dt>Source</dt>
        <dd>{item.source}</dd>
        <dt>Camera</dt>
        <dd>{item.camera}</dd>
        {item.track !== null && (
          <>
            <dt>Track</dt>
            <dd>{item.track}</dd>
          </>
        )}
        <dt>Seen</dt>
        <dd>{words.dateAndClock(item.seenMs)}</dd>
        <dt>Received</dt>
        <dd>{words.dateAndClock(item.receivedMs)}</dd>
        {record !== null && (
          <>
            <dt>Range</dt>
            <dd>
              {words.metres(record.slant_range_m)}, meets the ground at {record.grazing_deg.toFixed(1)}°
            </dd>
            <dt>Located by</dt>
            <dd>{words.positionSource(record.position.source)}</dd>
          </>
        )}
        {pose !== undefined && (
          <>
            <dt>Looks to</dt>
            <dd>
              heading {pose.heading.toFixed(1)}°, pitch {pose.pitch.toFixed(1)}°, roll {pose.roll.toFixed(1)}°
            </dd>
          </>
        )}
        <dt>CoT</dt>
        <dd>
          <Copy name="CoT uid" value={item.uid} /> {item.cotType}
        </dd>
        <dt>Id</dt>
        <dd>
          <Copy name="detection id" value={item.id} />
        </dd>
      </dl>
    </section>
  );
}

function Delivery({ item }: { item: Item }) {
  const sinks = Object.entries(item.sinks);
  return (
    <section>
      <h3>Delivery</h3>
      {sinks.length === 0 ? (
        <p class="small">{item.state === "held" ? "Nothing was sent." : "No sink has told of it yet."}</p>
      ) : (
        <dl>
          {sinks.map(([name, state]) => (
            <>
              <dt key={`${name}-name`}>{name}</dt>
              <dd key={name}>
                <StateMark state={state} />
              </dd>
            </>
          ))}
        </dl>
      )}
    </section>
  );
}

/** Read anew whenever the detection's state changes. */
function Timeline({ session, item }: { session: Session; item: Item }) {
  const [events, setEvents] = useState<AuditEvent[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const allowed = session.may("audit:read");
  const step = `${item.id} ${item.state} ${JSON.stringify(item.sinks)} ${String(item.verified)}`;
  useEffect(() => {
    if (!allowed) return;
    const abort = new AbortController();
    session.api.get<{ items: AuditEvent[] }>(`/api/v1/detections/${item.id}/audit`, abort.signal).then(
      (answer) => {
        setEvents(answer.items);
        setProblem(null);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setProblem(wordsOf(error));
      },
    );
    return () => abort.abort();
  }, [step]);
  return (
    <section>
      <h3>Timeline</h3>
      {!allowed && (
        <p class="small">
          A key with the scope <code>audit:read</code> shows it.
        </p>
      )}
      {problem !== null && <p class="problem">{problem}</p>}
      {allowed && events === null && problem === null && <p class="small">Reading the audit…</p>}
      {events !== null && (
        <ol class="timeline">
          {events.map((event, i) => (
            <li key={`${event.chain}-${event.record}-${event.type}-${i}`} class={`severity-${event.severity}`}>
              <time dateTime={event.time}>{event.time.slice(11, 23)}</time>
              <span>
                {words.auditTitle(event)}
                <span class="small">{detailOf(event)}</span>
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function detailOf(event: AuditEvent): string {
  const parts = Object.entries(event.detail)
    .filter(([name, value]) => ["sink", "reason", "notes", "confirmation"].includes(name) && value !== "")
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  if (event.actor !== "" && !event.type.startsWith("tak_")) parts.push(`by ${event.actor}`);
  return parts.join(", ");
}

function Cot({ session, item }: { session: Session; item: Item }) {
  const [xml, setXml] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const open = (event: Event) => {
    if (!(event.currentTarget as HTMLDetailsElement).open || xml !== null) return;
    session.api.text(`/api/v1/detections/${item.id}/cot`, "application/xml").then(
      (text) => setXml(indented(text)),
      (error: unknown) => setProblem(wordsOf(error)),
    );
  };
  return (
    <section>
      <details onToggle={open}>
        <summary>What TAK is sent: the CoT event</summary>
        {problem !== null && <p class="problem">{problem}</p>}
        {xml !== null && (
          <pre class="xml" tabIndex={0}>
            {xml}
          </pre>
        )}
      </details>
    </section>
  );
}

/** One element a line; only for reading. */
export function indented(xml: string): string {
  let depth = 0;
  return xml
    .replaceAll("><", ">\n<")
    .split("\n")
    .map((line) => {
      if (line.startsWith("</")) depth--;
      const out = "  ".repeat(Math.max(0, depth)) + line;
      if (/^<[^/!?]/.test(line) && !line.includes("</") && !line.endsWith("/>")) depth++;
      return out;
    })
    .join("\n");
}
