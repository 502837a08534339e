// The whole screen: what is selected, filtered and followed, and the keys.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Api } from "../data/api";
import { filterFromQuery, filterToQuery, isFiltered, matches, type Filter } from "../data/filter";
import { Session, wordsOf, type Status } from "../data/session";
import { type Counts, type Item } from "../data/store";
import type { DetectionRecord } from "../data/types";
import { viewOf } from "../geo/camera";
import { distanceM, type LatLon } from "../geo/ellipsoid";
import { formatLatLon, formatMgrs, formatUtm } from "../geo/coordinates";
import { baseMapOf, type BaseMap } from "../map/base_map";
import { MapView } from "../map/view";
import type { Theme } from "../map/symbol";
import { firstTheme, placeFromQuery, quickFilters, quickOf, settings, writeAddress } from "./address";
import { Detail } from "./detail";
import { Filters } from "./filters";
import { BaseMaps, Help } from "./help";
import { List } from "./list";
import { Operation } from "./operation";
import { Keys } from "./parts";
import { StatusBar, type Quick } from "./status_bar";
import { useKeys } from "./use_keys";

const drawEveryMs = 250;
const nearM = 20_000;
/** Followed are the newest few, so close that their ellipses are seen. */
const newestShown = 12;

export function App({ api, logOut }: { api: Api; logOut: (why: string | null) => void }) {
  const session = useMemo(() => new Session(api, (why) => logOut(`You were logged out: ${why}.`)), [api]);
  const start = useMemo(() => new URLSearchParams(location.search), []);
  const [status, setStatus] = useState<Status>(session.status);
  const [filter, setFilter] = useState<Filter>(() => filterFromQuery(start));
  const [selected, setSelected] = useState<string | null>(start.get("id"));
  const [record, setRecord] = useState<DetectionRecord | null>(null);
  const [recordProblem, setRecordProblem] = useState<string | null>(null);
  const [theme, setTheme] = useState<Theme>(firstTheme);
  const [follow, setFollow] = useState(placeFromQuery(start) === null && start.get("id") === null);
  const [open, setOpen] = useState<"none" | "operation" | "help" | "base">("none");
  const [filtersOpen, setFiltersOpen] = useState(false);
  const [sheet, setSheet] = useState(false); // phone: the list is up
  const showPointer = useRef<(at: LatLon | null) => void>(() => undefined);
  const [basePath, setBasePath] = useState(settings.get("base") ?? "");
  const [said, setSaid] = useState("");
  const [shown, setShown] = useState<{ items: Item[]; counts: Counts }>({
    items: [],
    counts: { all: 0, held: 0, undelivered: 0 },
  });
  const target = useRef<HTMLDivElement>(null);
  const map = useRef<MapView | null>(null);
  const placed = useRef(placeFromQuery(start) !== null);

  // The map, once.
  useEffect(() => {
    if (target.current === null) return;
    const made = new MapView(target.current, theme, {
      select: (id) => setSelected(id),
      movedByHand: () => setFollow(false),
      settled: (place) =>
        writeAddress((query) =>
          query.set("view", `${place.lat.toFixed(5)},${place.lon.toFixed(5)},${place.zoom.toFixed(2)}`),
        ),
      pointer: (at) => showPointer.current(at),
    });
    map.current = made;
    const place = placeFromQuery(start);
    if (place !== null) made.goTo(place, false);
    const watch = new ResizeObserver(() => made.resized());
    watch.observe(target.current);
    const base = baseMapOf(basePath);
    if (base !== null)
      made.setBaseMap(base).catch((error: unknown) => setSaid(`The base map cannot be read: ${wordsOf(error)}`));
    return () => {
      watch.disconnect();
      made.close();
    };
  }, []);

  // The session, once.
  useEffect(() => {
    const off = session.onChange(() => setStatus(session.status));
    session.start();
    return () => {
      off();
      session.close();
    };
  }, [session]);

  // What is shown, at most four times a second however much arrives.
  const current = useRef({ filter, follow, version: -1, minute: 0, latest: null as Item | null });
  current.current.filter = filter;
  current.current.follow = follow;
  const refresh = useCallback((force: boolean) => {
    const state = current.current;
    const now = Date.now();
    const tick = Math.floor(now / 5_000); // ages and time filters move on by themselves
    if (!force && state.version === session.store.version && state.minute === tick) return;
    state.version = session.store.version;
    state.minute = tick;
    const items: Item[] = [];
    for (const item of session.store.values()) if (matches(state.filter, item, now)) items.push(item);
    items.sort((a, b) => b.receivedMs - a.receivedMs || b.serial - a.serial);
    setShown({ items, counts: session.store.counts() });
    map.current?.setItems(items);
    followLatest(items);
  }, []);
  const followLatest = (items: Item[]) => {
    const state = current.current;
    const newest = items[0];
    if (!state.follow || newest === undefined || newest === state.latest || map.current === null) return;
    const first = state.latest === null && !placed.current;
    state.latest = newest;
    placed.current = true;
    if (!first && map.current.shows(newest)) return;
    const near = items
      .slice(0, newestShown)
      .filter((item) => distanceM(item, newest) < nearM && item.ce90 !== null && item.ce90 < 2_000);
    map.current.fit(near.length > 0 ? near : [newest], !first, 17.5);
  };
  useEffect(() => {
    const timer = setInterval(() => refresh(false), drawEveryMs);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    writeAddress((query) => filterToQuery(filter, query));
    map.current?.setArea(filter.area);
    refresh(true);
  }, [filter]);

  // The selected one: its record, its camera on the map.
  const item = selected === null ? undefined : session.store.get(selected);
  const step = item === undefined ? "" : `${item.state} ${String(item.verified)}`;
  useEffect(() => {
    writeAddress((query) => (selected === null ? query.delete("id") : query.set("id", selected)));
    setRecordProblem(null);
    if (selected === null) {
      setRecord(null);
      return;
    }
    let stale = false;
    session.record(selected).then(
      (answer) => {
        if (!stale) setRecord(answer);
      },
      (error: unknown) => {
        if (stale) return;
        setRecordProblem(wordsOf(error));
        if (session.store.get(selected) === undefined) setSaid(`That detection cannot be shown: ${wordsOf(error)}`);
      },
    );
    return () => {
      stale = true;
    };
  }, [selected, step]);
  useEffect(() => {
    if (item === undefined) return map.current?.setSelected(null, null);
    const pose = record?.detection_id === item.id ? record.request?.sensor_metadata : undefined;
    const view = pose === undefined || record === null ? null : viewOf(pose, record.slant_range_m, record.grazing_deg);
    map.current?.setSelected(item, view);
    if (!placed.current) {
      placed.current = true;
      map.current?.fit([item], false, 16);
    }
  }, [item, record]);

  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    document
      .querySelector('meta[name="theme-color"]')
      ?.setAttribute("content", theme === "night" ? "#0d1319" : "#f3f5f7");
    map.current?.setTheme(theme);
  }, [theme]);
  useEffect(() => {
    document.title = shown.counts.held > 0 ? `(${shown.counts.held} held) Detections` : "Detections";
  }, [shown.counts.held]);
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => setSaid(""), 6_000);
    return () => clearTimeout(timer);
  }, [said]);

  const pick = (quick: Quick) => setFilter(quickFilters[quick]);
  const choose = (id: string) => {
    setSelected(id);
    setSheet(false);
    const one = session.store.get(id);
    if (one === undefined) return;
    setFollow(false);
    // Once the drawer stands: it takes its place from the map.
    requestAnimationFrame(() => requestAnimationFrame(() => map.current?.reveal(one)));
  };
  const switchTheme = () => {
    const next = theme === "night" ? "day" : "night";
    settings.set("theme", next);
    setTheme(next);
  };
  const chooseBase = async (base: BaseMap, path: string) => {
    await map.current?.setBaseMap(base);
    settings.set("base", path);
    setBasePath(path);
  };
  const copyPosition = (text: string | null) => {
    if (text === null || item === undefined) return;
    navigator.clipboard.writeText(text).then(
      () => setSaid(`Copied: ${text}`),
      () => setSaid(text),
    );
  };
  const step1 = (by: number) => {
    const { items } = shown;
    if (items.length === 0) return;
    const at = selected === null ? -1 : items.findIndex((one) => one.id === selected);
    const next = items[Math.max(0, Math.min(items.length - 1, at < 0 ? 0 : at + by))];
    if (next !== undefined) choose(next.id);
  };
  const decide = (verified: boolean) => {
    if (item === undefined || !session.may("detections:verify") || (item.state !== "held" && item.verified === null))
      return;
    if (item.verified === verified) return;
    const notes = document.querySelector<HTMLTextAreaElement>("#notes");
    session.decide(item.id, verified, notes?.value.trim() ?? "").then(
      (answer) => {
        setRecord(answer);
        setSaid(verified ? "Released to TAK." : "Rejected.");
        if (notes !== null) notes.value = "";
      },
      (error: unknown) => setSaid(wordsOf(error)),
    );
  };
  const showAll = () => {
    setFollow(false);
    map.current?.fit(shown.items);
  };
  const showSelected = () => {
    if (item === undefined) return;
    setFollow(false);
    map.current?.fit([item]);
  };
  const escape = () => {
    if (open !== "none") setOpen("none");
    else if (filtersOpen) setFiltersOpen(false);
    else if (selected !== null) setSelected(null);
    else setSheet(false);
  };

  const actions: Record<string, () => void> = {
    j: () => step1(1),
    ArrowDown: () => step1(1),
    k: () => step1(-1),
    ArrowUp: () => step1(-1),
    Home: () => step1(-Infinity),
    End: () => step1(Infinity),
    z: showSelected,
    r: () => decide(true),
    x: () => decide(false),
    c: () => copyPosition(item === undefined ? null : `${item.lat}, ${item.lon}`),
    m: () => copyPosition(item === undefined ? null : formatMgrs(item)),
    g: () => copyPosition(item === undefined ? null : formatUtm(item)),
    a: () => pick("all"),
    h: () => pick("held"),
    u: () => pick("undelivered"),
    n: () => pick("new"),
    f: () => setFiltersOpen(!filtersOpen),
    o: () => setOpen(open === "operation" ? "none" : "operation"),
    l: () => {
      current.current.latest = null;
      current.current.follow = !follow;
      setFollow(!follow);
      refresh(true);
    },
    "+": () => map.current?.zoomBy(1),
    "=": () => map.current?.zoomBy(1),
    "-": () => map.current?.zoomBy(-1),
    "0": showAll,
    t: switchTheme,
    b: () => setOpen("base"),
    "?": () => setOpen("help"),
    Escape: escape,
  };
  useKeys(actions, (right, down) => map.current?.panBy(right, down));

  const all = filtersOpen ? [...session.store.values()] : [];
  const classes = [...new Set(all.map((one) => one.objectClass))];
  const sources = [...new Set(all.map((one) => one.source))];
  const filtered = isFiltered(filter);

  return (
    <div class={`screen ${sheet ? "sheet-up" : ""} ${item !== undefined ? "with-detail" : ""}`}>
      <StatusBar
        session={session}
        status={status}
        counts={shown.counts}
        quick={filtered ? quickOf(filter) : "all"}
        pick={pick}
        openOperation={() => setOpen(open === "operation" ? "none" : "operation")}
      />
      <main class="map-area" aria-label="Map">
        <div
          ref={target}
          class="map"
          tabIndex={0}
          role="application"
          aria-label="Map of detections; Shift and arrows move it, + and - zoom"
        />
        <div class="map-tools">
          <button type="button" onClick={() => map.current?.zoomBy(1)} title="Closer (+)" aria-label="Closer">
            +
          </button>
          <button type="button" onClick={() => map.current?.zoomBy(-1)} title="Farther (-)" aria-label="Farther">
            −
          </button>
          <button type="button" onClick={actions.l} aria-pressed={follow} title="Follow what arrives (l)">
            Follow
          </button>
          <button type="button" onClick={showAll} title="Show all (0)">
            All
          </button>
          <button type="button" onClick={() => setOpen("base")} title="Base map (b)">
            Base
          </button>
          <button type="button" onClick={switchTheme} title="Day / night (t)">
            {theme === "night" ? "Day" : "Night"}
          </button>
          <button type="button" onClick={() => setOpen("help")} title="Keys and signs (?)">
            Keys
          </button>
        </div>
        <Pointer show={showPointer} />
        {said !== "" && (
          <p class="said" role="status">
            {said}
          </p>
        )}
      </main>
      <section class="side" aria-label="List of detections">
        <div class="side-head">
          <button type="button" class="handle" onClick={() => setSheet(!sheet)} aria-expanded={sheet}>
            {sheet ? "Map" : "List"}
          </button>
          <h1>
            {shown.items.length.toLocaleString("en")} {filtered ? `of ${shown.counts.all.toLocaleString("en")}` : ""}{" "}
            detections
          </h1>
          <button type="button" onClick={() => setFiltersOpen(!filtersOpen)} aria-expanded={filtersOpen}>
            Filter{filtered ? " ●" : ""} <Keys>f</Keys>
          </button>
          {filtered && (
            <button type="button" onClick={() => pick("all")}>
              Clear
            </button>
          )}
        </div>
        {filtersOpen && (
          <Filters
            filter={filter}
            set={setFilter}
            classes={classes}
            sources={sources}
            areaOfView={() => map.current?.extent() ?? [-180, -90, 180, 90]}
          />
        )}
        <List items={shown.items} selected={selected} select={choose} empty={emptyWords(status, filtered)} />
        {session.store.forgotten > 0 && (
          <p class="small foot">
            The newest {session.store.most.toLocaleString("en")} are here; older ones are in the record.
          </p>
        )}
        <p class="foot small">
          {api.credential.subject ?? "API key"}
          {api.credential.expiresMs !== null &&
            `, until ${new Date(api.credential.expiresMs).toISOString().slice(0, 16).replace("T", " ")}Z`}{" "}
          <button type="button" class="link" onClick={() => logOut(null)}>
            Log out
          </button>
        </p>
      </section>
      {item !== undefined && (
        <Detail
          session={session}
          item={item}
          record={record?.detection_id === item.id ? record : null}
          problem={recordProblem}
          close={() => setSelected(null)}
          show={showSelected}
          decided={setRecord}
        />
      )}
      {open === "operation" && (
        <Operation session={session} status={status} theme={theme} close={() => setOpen("none")} />
      )}
      {open === "help" && <Help close={() => setOpen("none")} />}
      {open === "base" && <BaseMaps path={basePath} choose={chooseBase} close={() => setOpen("none")} />}
    </div>
  );
}

/** By itself, so that a moving mouse draws nothing else anew. */
function Pointer({ show }: { show: { current: (at: LatLon | null) => void } }) {
  const [at, setAt] = useState<LatLon | null>(null);
  show.current = setAt;
  return (
    <p class="pointer" aria-hidden="true">
      {at !== null && `${formatLatLon(at)}   ${formatMgrs(at) ?? ""}`}
    </p>
  );
}

function emptyWords(status: Status, filtered: boolean): string {
  if (status.feed.kind === "connecting") return "Connecting to the service…";
  if (status.history.loading) return "Reading what there is…";
  if (filtered) return "No detection fits the filter. Press a to show all.";
  return "No detection yet. They appear here, and on the map, as they are posted to /api/v1/detections.";
}
