// Everything by keyboard: one letter an action, wherever the focus is but in a field or a dialog.

import { useEffect, useRef } from "preact/hooks";

/** `actions` by KeyboardEvent.key; `move` for Shift and an arrow. */
export function useKeys(actions: Record<string, () => void>, move: (right: number, down: number) => void): void {
  const keys = useRef(actions);
  keys.current = actions;
  const moves = useRef(move);
  moves.current = move;
  useEffect(() => {
    const arrows: Record<string, [number, number]> = {
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      const on = event.target instanceof Element ? event.target : null;
      if (on !== null && on.closest("dialog") !== null) return;
      const writes = on !== null && on.closest("input, textarea, select") !== null;
      if (writes && event.key !== "Escape") return;
      if (writes && on instanceof HTMLElement) return on.blur();
      const way = arrows[event.key];
      if (way !== undefined && event.shiftKey) {
        moves.current(...way);
        event.preventDefault();
        return;
      }
      const action = keys.current[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    // Before the map and the list take the arrows for themselves.
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, []);
}
