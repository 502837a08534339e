// What a detection looks like on the map: a MIL-STD-2525 symbol, the shape and letter of its flag, a mark of its state.
// Nothing is told by colour alone.

import type { Flag, State } from "../data/types";

export type Theme = "day" | "night";

const affiliations: Record<string, string> = {
  p: "P", // pending
  u: "U",
  a: "A", // assumed friend
  f: "F",
  n: "N",
  s: "S", // suspect
  h: "H",
  j: "J", // joker
  k: "K", // faker
};
const dimensions = new Set(["P", "A", "G", "S", "U", "F"]);

/**
 * The letter code (MIL-STD-2525C) of a CoT type: "a-u-G-E-V" is "SUGPEV---------". Null: the type is no thing on the
 * ground ("b-m-p-s-p-i", a point that a sensor looks at).
 */
export function sidcOf(cotType: string): string | null {
  const [kind, affiliation, dimension, ...functions] = cotType.split("-");
  if (kind !== "a" || affiliation === undefined || dimension === undefined || !dimensions.has(dimension)) return null;
  const code = functions.filter((part) => /^[A-Z]$/.test(part)).join("");
  return `S${affiliations[affiliation] ?? "U"}${dimension}P${code.slice(0, 6).padEnd(6, "-")}-----`;
}

type Draw = (context: CanvasRenderingContext2D, size: number) => void;

/** Resolved once the symbols are loaded; until then every thing is a plain mark. */
let milsymbol: typeof import("milsymbol-parts") | null = null;

export async function loadSymbols(): Promise<void> {
  const parts = await import("milsymbol-parts");
  parts.ms.addIcons(parts.std2525c);
  milsymbol = parts;
}

/** The symbol alone; null where it has none, or they are not loaded yet. */
export function milSymbol(cotType: string, size: number): { canvas: HTMLCanvasElement; x: number; y: number } | null {
  const sidc = sidcOf(cotType);
  if (sidc === null || milsymbol === null) return null;
  // A function that the standard does not know is drawn as the one that it is a kind of.
  for (let known = 10; known >= 4; known--) {
    const symbol = new milsymbol.ms.Symbol(sidc.slice(0, known).padEnd(15, "-"), {
      size,
      outlineWidth: 3,
      outlineColor: "#fff",
    });
    if (known > 4 && symbol.isValid() !== true) continue;
    const anchor = symbol.getAnchor();
    return { canvas: symbol.asCanvas(1), x: anchor.x, y: anchor.y };
  }
  return null;
}

export const flagColours: Record<Theme, Record<Flag, string>> = {
  day: { GREEN: "#0b7a3b", YELLOW: "#b98900", RED: "#c62026" },
  night: { GREEN: "#2fbf71", YELLOW: "#f2c037", RED: "#ff5d5d" },
};

/** The flag's own shape around (0, 0): circle, triangle, octagon. */
export function flagPath(context: CanvasRenderingContext2D, flag: Flag, r: number): void {
  context.beginPath();
  if (flag === "GREEN") {
    context.arc(0, 0, r, 0, 2 * Math.PI);
    return;
  }
  const [corners, turn, reach] = flag === "YELLOW" ? [3, -Math.PI / 2, 1.35] : [8, Math.PI / 8, 1.08];
  for (let i = 0; i < corners; i++) {
    const angle = turn + (i * 2 * Math.PI) / corners;
    context.lineTo(Math.cos(angle) * r * reach, Math.sin(angle) * r * reach + (flag === "YELLOW" ? r * 0.2 : 0));
  }
  context.closePath();
}

function drawFlag(context: CanvasRenderingContext2D, flag: Flag, theme: Theme, r: number): void {
  flagPath(context, flag, r);
  context.fillStyle = flagColours[theme][flag];
  context.strokeStyle = theme === "night" ? "#0d1319" : "#fff";
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
  context.fillStyle = theme === "night" ? "#0d1319" : "#fff";
  context.font = `700 ${r * 1.25}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(flag.slice(0, 1), 0, r * (flag === "YELLOW" ? 0.3 : 0.08));
}

/** Small pictures of a state, around (0, 0), in the current colours. */
const upwards: Draw = (c, r) => {
  c.beginPath();
  c.moveTo(0, r * 0.6);
  c.lineTo(0, -r * 0.5);
  c.moveTo(-r * 0.45, -r * 0.05);
  c.lineTo(0, -r * 0.55);
  c.lineTo(r * 0.45, -r * 0.05);
  c.stroke();
};
const stateMarks: Partial<Record<State, Draw>> = {
  held: (c, r) => {
    c.fillRect(-r * 0.5, -r * 0.55, r * 0.35, r * 1.1);
    c.fillRect(r * 0.15, -r * 0.55, r * 0.35, r * 1.1);
  },
  queued: upwards,
  spooled: upwards,
  dead_letter: (c, r) => {
    c.fillRect(-r * 0.14, -r * 0.6, r * 0.28, r * 0.7);
    c.fillRect(-r * 0.14, r * 0.28, r * 0.28, r * 0.28);
  },
};

function drawState(context: CanvasRenderingContext2D, state: State, theme: Theme, r: number): void {
  const mark = stateMarks[state];
  if (mark === undefined) return;
  const urgent = state !== "queued" && state !== "spooled";
  const [paper, ink] = theme === "night" ? ["#f4f7fa", "#0d1319"] : ["#17202a", "#fff"];
  context.beginPath();
  context.rect(-r, -r, 2 * r, 2 * r);
  context.fillStyle = urgent ? paper : ink;
  context.strokeStyle = urgent ? ink : paper;
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
  context.fillStyle = context.strokeStyle = urgent ? ink : paper;
  mark(context, r);
}

export interface Sprite {
  canvas: HTMLCanvasElement;
  /** Where the point itself is in it, in CSS pixels; its sides are all `side`. */
  centre: number;
  side: number;
}

const side = 56;
const sprites = new Map<string, Sprite>();
export function forgetSprites(): void {
  sprites.clear();
}

/** One canvas for each look; there are few of them. */
export function spriteOf(cotType: string, flag: Flag, state: State, theme: Theme, pixelRatio: number): Sprite {
  const key = `${cotType}|${flag}|${state}|${theme}|${pixelRatio}`;
  const kept = sprites.get(key);
  if (kept !== undefined) return kept;
  if (sprites.size > 500) sprites.clear(); // types come from data
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side * pixelRatio;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser draws no canvas");
  context.scale(pixelRatio, pixelRatio);
  context.translate(side / 2, side / 2);
  if (state === "rejected" || state === "discarded") context.globalAlpha = 0.45;
  const symbol = milSymbol(cotType, 22 * pixelRatio);
  if (symbol !== null) {
    context.save();
    context.scale(1 / pixelRatio, 1 / pixelRatio);
    context.drawImage(symbol.canvas, -symbol.x, -symbol.y);
    context.restore();
  } else {
    drawPoint(context, theme);
  }
  context.globalAlpha = 1;
  if (state === "rejected") {
    context.strokeStyle = theme === "night" ? "#f4f7fa" : "#17202a";
    context.lineWidth = 2.5;
    context.beginPath();
    context.moveTo(-13, 11);
    context.lineTo(13, -11);
    context.stroke();
  }
  context.save();
  context.translate(12, 11);
  drawFlag(context, flag, theme, 6.5);
  context.restore();
  context.translate(-13, -11);
  drawState(context, state, theme, 6);
  const sprite = { canvas, centre: side / 2, side };
  sprites.set(key, sprite);
  return sprite;
}

/** A point that a sensor looks at: a ring with four ticks. */
function drawPoint(context: CanvasRenderingContext2D, theme: Theme): void {
  const stroke = (width: number, colour: string) => {
    context.beginPath();
    context.arc(0, 0, 7, 0, 2 * Math.PI);
    for (const [x, y] of [
      [0, 1],
      [1, 0],
      [0, -1],
      [-1, 0],
    ] as const) {
      context.moveTo(x * 4, y * 4);
      context.lineTo(x * 12, y * 12);
    }
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  };
  stroke(5, theme === "night" ? "#0d1319" : "#fff");
  stroke(2, theme === "night" ? "#ffe14d" : "#17202a");
  context.beginPath();
  context.arc(0, 0, 1.6, 0, 2 * Math.PI);
  context.fillStyle = theme === "night" ? "#ffe14d" : "#17202a";
  context.fill();
}
