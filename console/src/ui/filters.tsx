import type { Filter } from "../data/filter";
import { flags, states, type Flag, type State } from "../data/types";
import { stateWords } from "../words";
import { FlagMark } from "./parts";

interface Props {
  filter: Filter;
  set: (filter: Filter) => void;
  classes: string[];
  sources: string[];
  /** west, south, east, north of the map as it is. */
  areaOfView: () => NonNullable<Filter["area"]>;
}

function toggled<T>(set: ReadonlySet<T>, one: T): Set<T> {
  const next = new Set(set);
  if (!next.delete(one)) next.add(one);
  return next;
}

/** For a field of the kind datetime-local, in UTC. */
const toField = (ms: number | null) => (ms === null ? "" : new Date(ms).toISOString().slice(0, 16));
const fromField = (text: string) => {
  const ms = Date.parse(`${text}Z`);
  return Number.isNaN(ms) ? null : ms;
};

export function Filters({ filter, set, classes, sources, areaOfView }: Props) {
  const choice = (name: string, all: string, values: string[], value: string, pick: (value: string) => void) => (
    <label>
      {name}
      <select value={value} onChange={(event) => pick(event.currentTarget.value)}>
        <option value="">{all}</option>
        {[...new Set([...values, ...(value === "" ? [] : [value])])].sort().map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <section class="filters" aria-label="Filter">
      <fieldset>
        <legend>Flag</legend>
        {flags.map((flag: Flag) => (
          <label key={flag} class="tick">
            <input
              type="checkbox"
              checked={filter.flags.has(flag)}
              onChange={() => set({ ...filter, flags: toggled(filter.flags, flag) })}
            />
            <FlagMark flag={flag} word />
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>State</legend>
        {states.map((state: State) => (
          <label key={state} class="tick">
            <input
              type="checkbox"
              checked={filter.states.has(state)}
              onChange={() => set({ ...filter, states: toggled(filter.states, state) })}
            />
            {stateWords[state]}
          </label>
        ))}
      </fieldset>
      <div class="pair">
        {choice("Class", "All classes", classes, filter.objectClass, (objectClass) => set({ ...filter, objectClass }))}
        {choice("Source", "All sources", sources, filter.source, (source) => set({ ...filter, source }))}
      </div>
      <div class="pair">
        <label>
          Seen within
          <select
            value={filter.minutes === null ? "" : String(filter.minutes)}
            onChange={(event) =>
              set({ ...filter, minutes: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })
            }
          >
            <option value="">Any time</option>
            <option value="5">5 minutes</option>
            <option value="15">15 minutes</option>
            <option value="60">1 hour</option>
            <option value="1440">1 day</option>
          </select>
        </label>
        <div class="field">
          Area
          <button
            type="button"
            onClick={() => set({ ...filter, area: filter.area === null ? areaOfView() : null })}
            aria-pressed={filter.area !== null}
          >
            {filter.area === null ? "Only what the map shows" : "Area is set: clear it"}
          </button>
        </div>
      </div>
      <div class="pair">
        <label>
          From (UTC)
          <input
            type="datetime-local"
            value={toField(filter.since)}
            onChange={(event) => set({ ...filter, since: fromField(event.currentTarget.value) })}
          />
        </label>
        <label>
          To (UTC)
          <input
            type="datetime-local"
            value={toField(filter.until)}
            onChange={(event) => set({ ...filter, until: fromField(event.currentTarget.value) })}
          />
        </label>
      </div>
    </section>
  );
}
