import { ms } from "milsymbol-parts";
import { std2525c } from "milsymbol-parts";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { clustersOf, freshness } from "./clusters";
import { scaleOf, stepOf } from "./graticule";
import { sidcOf } from "./symbol";
import { ringOnMap } from "./world";
import type { Item } from "../data/store";

describe("symbols", () => {
  it("are the letter code of the CoT type", () => {
    expect(sidcOf("a-u-G-E-V")).toBe("SUGPEV---------");
    expect(sidcOf("a-f-G-U-C-I")).toBe("SFGPUCI--------");
    expect(sidcOf("a-h-A-M-F-Q")).toBe("SHAPMFQ--------");
    expect(sidcOf("a-.-S")).toBe("SUSP-----------");
    expect(sidcOf("a-s-G")).toBe("SSGP-----------");
    expect(sidcOf("b-m-p-s-p-i")).toBeNull();
    expect(sidcOf("a-f")).toBeNull();
    expect(sidcOf("a-f-Z-E")).toBeNull();
    expect(sidcOf("a-f-G-<script>-E")).toBe("SFGPE----------");
  });

  it("are there for every class of the service's map, at least as the kind that it belongs to", () => {
    ms.addIcons(std2525c);
    const text = readFileSync(new URL("../../../data/cot/class_map.txt", import.meta.url), "utf8");
    const types = [...text.matchAll(/^[^#=\n]+=\s*(a-\S+)/gm)].map((match) => match[1]?.replace("-.-", "-u-") ?? "");
    expect(types.length).toBeGreaterThan(50);
    const exact = types.filter((type) => new ms.Symbol(sidcOf(type) ?? "").isValid() === true);
    for (const type of types)
      expect(new ms.Symbol((sidcOf(type) ?? "").slice(0, 4).padEnd(15, "-")).isValid()).toBe(true);
    expect(exact.length / types.length).toBeGreaterThan(0.8);
  });
});

function item(change: Partial<Item>): Item {
  return { id: "x", x: 0, y: 0, state: "delivered", seenMs: 1_000, serial: 1, ...change } as Item;
}

describe("clusters", () => {
  it("count all, and show what needs a person first", () => {
    const items = [
      item({ id: "old", seenMs: 1 }),
      item({ id: "held", x: 3, state: "held", seenMs: 2 }),
      item({ id: "new", y: 4, seenMs: 9 }),
      item({ id: "far", x: 1_000 }),
    ];
    const clusters = clustersOf(items, 10);
    expect(clusters.map(({ head, count }) => [head.id, count])).toEqual([
      ["far", 1],
      ["held", 3],
    ]);
    expect(clusters[1]).toMatchObject({ minX: 0, maxX: 3, minY: 0, maxY: 4 });
  });

  it("join over the border of a cell, also of negative ones", () => {
    for (const at of [0, -10, 30])
      expect(clustersOf([item({ id: "a", x: at - 1 }), item({ id: "b", x: at + 1, serial: 2 })], 10)).toHaveLength(1);
  });

  it("lose none of many", () => {
    const items = Array.from({ length: 5_000 }, (_, i) =>
      item({ id: String(i), x: (i * 7919) % 3_001, y: (i * 104_729) % 2_003 }),
    );
    for (const cell of [1, 30, 400, 1e6])
      expect(clustersOf(items, cell).reduce((sum, { count }) => sum + count, 0)).toBe(5_000);
  });
});

describe("age", () => {
  it("fades what is done, not what waits", () => {
    const hour = 3_600_000;
    expect(freshness(item({ seenMs: 0 }), 30_000)).toBe(1);
    expect(freshness(item({ seenMs: 0 }), hour)).toBeCloseTo(0.35, 5);
    expect(freshness(item({ seenMs: 0, state: "held" }), 24 * hour)).toBe(1);
  });
});

describe("graticule and scale", () => {
  it("have round steps that are far enough apart", () => {
    for (const resolution of [156_543, 1_000, 4.777, 0.15]) {
      const step = stepOf(resolution);
      expect((step * 111_320) / resolution).toBeGreaterThanOrEqual(step === 30 ? 0 : 139);
    }
    const { metres, px } = scaleOf(4.777, 60);
    expect([1, 2, 5]).toContain(Number(String(metres)[0]));
    expect(metres / px).toBeCloseTo(4.777 * 0.5, 3);
  });
});

describe("rings", () => {
  it("go on over the date line and close along the pole", () => {
    const across = ringOnMap([
      [170, 60],
      [-170, 60],
      [-170, 65],
      [170, 60],
    ]);
    expect(Math.max(...across.map(([x]) => x))).toBeCloseTo(21_150_703, -1); // 190 degrees
    const polar = ringOnMap([
      [-180, -70],
      [-60, -70],
      [60, -70],
      [180, -70],
    ]);
    expect(polar).toHaveLength(7);
    expect(polar.at(-1)).toEqual(polar[0]);
  });
});
