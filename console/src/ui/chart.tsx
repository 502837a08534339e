// The last hour by the minute: what came in, by flag, and the longest queue.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Minute } from "../data/session";
import { flagColours, type Theme } from "../map/symbol";
import { columnsOf } from "./columns";

export function Chart({ byMinute, theme, now }: { byMinute: ReadonlyMap<number, Minute>; theme: Theme; now: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const ink = theme === "night" ? "#a9bac8" : "#46586a";
    const grid = { stroke: theme === "night" ? "#26323d" : "#dde3e8", width: 1 };
    const bars = uPlot.paths.bars?.({ size: [0.9, 100] });
    const flag = (name: "GREEN" | "YELLOW" | "RED"): uPlot.Series => ({
      fill: flagColours[theme][name],
      width: 0,
      points: { show: false },
      ...(bars === undefined ? {} : { paths: bars }),
    });
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: 150,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          y: { range: (_u, _min, max) => [0, Math.max(4, max)] },
          queue: { range: (_u, _min, max) => [0, Math.max(4, max)] },
        },
        axes: [
          {
            stroke: ink,
            grid,
            ticks: grid,
            values: (_u, times) => times.map((at) => new Date(at * 1000).toISOString().slice(11, 16)),
          },
          { stroke: ink, grid, ticks: grid, size: 46 },
          { stroke: ink, scale: "queue", side: 1, grid: { show: false }, ticks: grid, size: 46 },
        ],
        series: [
          {},
          flag("RED"),
          flag("YELLOW"),
          flag("GREEN"),
          {
            scale: "queue",
            stroke: theme === "night" ? "#4cc2ff" : "#0067b8",
            width: 2,
            dash: [6, 3],
            spanGaps: false,
          },
        ],
      },
      columnsOf(byMinute, Date.now()) as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: 150 }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [theme]);
  useEffect(() => plot.current?.setData(columnsOf(byMinute, now) as uPlot.AlignedData), [Math.floor(now / 3_000)]);
  const total = columnsOf(byMinute, now)[1]?.reduce<number>((sum, value) => sum + (value ?? 0), 0) ?? 0;
  return (
    <figure class="chart">
      <div ref={box} role="img" aria-label={`Detections received in the last hour: ${total}`} />
      <figcaption>
        <span class="key key-RED">RED</span> on <span class="key key-YELLOW">YELLOW</span> on{" "}
        <span class="key key-GREEN">GREEN</span> received each minute (left),{" "}
        <span class="key key-queue">longest queue</span> (dashed, right). UTC.
      </figcaption>
    </figure>
  );
}
