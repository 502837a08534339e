// Small parts that are used all over.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Flag, State } from "../data/types";
import { stateWords } from "../words";

const shapes: Record<Flag, string> = {
  GREEN: "M8 1a7 7 0 1 1 0 14a7 7 0 0 1 0-14z",
  YELLOW: "M8 1l7.4 13.5H.6z",
  RED: "M5 1h6l4 4v6l-4 4H5l-4-4V5z",
};

export function FlagMark({ flag, word = false }: { flag: Flag; word?: boolean }) {
  return (
    <span class={`flag flag-${flag}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={shapes[flag]} />
        <text x="8" y={flag === "YELLOW" ? 13 : 11.6} text-anchor="middle">
          {flag.slice(0, 1)}
        </text>
      </svg>
      <span class={word ? "" : "only-read"}>{flag}</span>
    </span>
  );
}

const stateIcons: Record<State, string> = {
  held: "M5 3h2v10H5zM9 3h2v10H9z",
  queued: "M7 14V6L4 9 3 8l5-5 5 5-1 1-3-3v8z",
  delivered: "M6.5 12.6L2.6 8.7l1.1-1.1 2.8 2.8 5.8-5.8 1.1 1.1z",
  dead_letter: "M7 2h2v8H7zM7 12h2v2H7z",
  rejected: "M4 3l4 4 4-4 1 1-4 4 4 4-1 1-4-4-4 4-1-1 4-4-4-4z",
  discarded: "M3 7h10v2H3z",
  spooled: "M3 3h10v3H3zM4 7h8v6H4z",
};

export function StateMark({ state }: { state: State }) {
  return (
    <span class={`state state-${state}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={stateIcons[state]} />
      </svg>
      {stateWords[state]}
    </span>
  );
}

export function Keys({ children }: { children: ComponentChildren }) {
  return <kbd aria-hidden="true">{children}</kbd>;
}

const icons = {
  copy: "M5 5V2h9v9h-3M2 5h9v9H2z",
  aim: "M8 1v4M8 11v4M1 8h4M11 8h4M8 4a4 4 0 1 1 0 8a4 4 0 0 1 0-8z",
  close: "M3 3l10 10M13 3L3 13",
};

export function Icon({ name }: { name: keyof typeof icons }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <path d={icons[name]} />
    </svg>
  );
}

/** A value that a click copies. */
export function Copy({ name, value, shown }: { name: string; value: string; shown?: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => setSaid(""), 1_600);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = () => {
    void copyText(value).then((done) => setSaid(done ? "copied" : "cannot be copied here"));
  };
  return (
    <button type="button" class="copy" onClick={copy} title={`Copy ${name}`} aria-label={`${name}: ${value}. Copy`}>
      <span class="value">{shown ?? value}</span>
      <span class="hint" role="status">
        {said === "" ? <Icon name="copy" /> : said}
      </span>
    </button>
  );
}

/** The clipboard needs a secure context; elsewhere a selection and the old command do it. */
async function copyText(text: string): Promise<boolean> {
  try {
    if (window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused: the way below.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "off-screen";
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without a secure context
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Draws anew every `everyMs`, for what depends on the time. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
