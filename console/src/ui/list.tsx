// The list at the side. Only the rows that are seen are there: twenty thousand rows would be too many for any browser.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Item } from "../data/store";
import { age, metres } from "../words";
import { FlagMark, StateMark, useNow } from "./parts";

const rowPx = 58;

interface Props {
  items: Item[];
  selected: string | null;
  select: (id: string) => void;
  /** What to say when there is none. */
  empty: string;
}

export function List({ items, selected, select, empty }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const now = useNow(1_000);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, [items.length === 0]);

  const index = selected === null ? -1 : items.findIndex((item) => item.id === selected);
  useEffect(() => {
    const element = box.current;
    if (element === null || index < 0) return;
    if (index * rowPx < element.scrollTop) element.scrollTop = index * rowPx;
    else if ((index + 1) * rowPx > element.scrollTop + element.clientHeight)
      element.scrollTop = (index + 1) * rowPx - element.clientHeight;
    // Only when the selection changes: new arrivals must not pull the list about.
  }, [selected]);

  const first = Math.max(0, Math.floor(top / rowPx) - 4);
  const last = Math.min(items.length, Math.ceil((top + height) / rowPx) + 4);
  const lines = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Positions are data of this page, set as properties: the policy allows no style in the markup.
    if (lines.current === null) return;
    lines.current.style.height = `${items.length * rowPx}px`;
    for (const row of lines.current.children)
      if (row instanceof HTMLElement) row.style.transform = `translateY(${Number(row.dataset.index) * rowPx}px)`;
  });

  if (items.length === 0) return <p class="empty">{empty}</p>;
  return (
    <div
      ref={box}
      class="rows"
      role="listbox"
      aria-label="Detections, newest first"
      tabIndex={0}
      aria-activedescendant={index >= first && index < last ? `row-${selected ?? ""}` : undefined}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <div ref={lines} class="lines" role="presentation">
        {items.slice(first, last).map((item, i) => (
          <Row key={item.id} item={item} index={first + i} now={now} selected={item.id === selected} select={select} />
        ))}
      </div>
    </div>
  );
}

interface RowProps {
  item: Item;
  index: number;
  now: number;
  selected: boolean;
  select: (id: string) => void;
}

function Row({ item, index, now, selected, select }: RowProps) {
  return (
    <div
      id={`row-${item.id}`}
      class={`row ${selected ? "selected" : ""} ${now - item.receivedMs < 5_000 ? "new" : ""}`}
      role="option"
      aria-selected={selected}
      data-index={index}
      data-id={item.id}
      onClick={() => select(item.id)}
    >
      <FlagMark flag={item.flag} />
      <span class="what">
        <span class="class">{item.objectClass}</span>
        <span class="from">
          {item.source} · {item.camera}
          {item.track !== null && ` · ${item.track}`}
        </span>
      </span>
      <span class="how">
        <span class="ce90">{item.ce90 === null ? "CE90 unknown" : `± ${metres(item.ce90)}`}</span>
        <span class="percent">{Math.round(item.confidence * 100)} % sure</span>
      </span>
      <span class="when">
        <StateMark state={item.state} />
        <span class="age">{age(now - item.seenMs)}</span>
      </span>
    </div>
  );
}
