import { useEffect, useRef, useState } from "preact/hooks";
import { baseMapOf, type BaseMap } from "../map/base_map";

export const keyList: [string, string][] = [
  ["j / k, ↓ / ↑", "next / previous detection in the list"],
  ["Home / End", "newest / oldest"],
  ["z", "show the selected one on the map"],
  ["r", "release the selected one (it was held)"],
  ["x", "reject the selected one, or take it back"],
  ["c / m / g", "copy its position: lat, lon / MGRS / UTM"],
  ["a / h / u / n", "all / held / undelivered / newest"],
  ["f", "filters"],
  ["o", "operation: sinks, queues, audit, the last hour"],
  ["l", "follow what arrives (a movement of the map ends it)"],
  ["+ / −", "closer / farther"],
  ["Shift + arrows", "move the map"],
  ["0", "show all that is in the list"],
  ["t", "day / night"],
  ["b", "base map"],
  ["?", "this list"],
  ["Esc", "close what is open"],
];

/** A dialog of the browser's own: it keeps the focus and gives it back. */
function useDialog(close: () => void) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return { ref: dialog, onClose: close };
}

export function Help({ close }: { close: () => void }) {
  const dialog = useDialog(close);
  return (
    <dialog {...dialog} aria-labelledby="help-title">
      <h2 id="help-title">Keys and signs</h2>
      <table class="keys">
        <tbody>
          {keyList.map(([key, what]) => (
            <tr key={key}>
              <th scope="row">
                <kbd>{key}</kbd>
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3>On the map</h3>
      <p>
        Each mark has its flag at the lower right: <strong>G</strong> in a circle is good, <strong>Y</strong> in a
        triangle usable with care, <strong>R</strong> in an octagon poorly known. At the upper left: two bars wait for a
        person, an arrow is on its way, an exclamation mark was not taken by TAK; nothing means that TAK has it. The
        ellipse holds the true place with 90 % probability. A number counts what lies too close together to tell apart:
        a click opens it up. Marks fade with age; a blue ring is new.
      </p>
      <p class="small">
        Base map: Natural Earth. <a href="/assets/licences.md">Licences of what this page is made of</a>.
      </p>
      <form method="dialog">
        <button class="primary" type="submit">
          Close
        </button>
      </form>
    </dialog>
  );
}

export function BaseMaps({
  path,
  choose,
  close,
}: {
  path: string;
  choose: (map: BaseMap, path: string) => Promise<void>;
  close: () => void;
}) {
  const dialog = useDialog(close);
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const take = (map: BaseMap | null, text: string) => {
    if (map === null) {
      setProblem(
        "Give a path of this server that begins with / : with {z}, {x} and {y}, or one that ends in .pmtiles.",
      );
      return;
    }
    choose(map, text).then(close, (error: unknown) => {
      setProblem(`That map cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    });
  };
  return (
    <dialog {...dialog} aria-labelledby="base-title">
      <h2 id="base-title">Base map</h2>
      <p>
        The world in outlines is always there. A map of yours can lie under the detections instead; nothing of it leaves
        this computer.
      </p>
      <div class="choices">
        <button type="button" onClick={() => take({ kind: "world" }, "")}>
          The built-in world
        </button>
        <label class="file">
          A PMTiles file of this computer
          <input
            type="file"
            accept=".pmtiles"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file !== undefined) take({ kind: "file", file }, "");
            }}
          />
        </label>
        <label>
          Tiles or PMTiles on this server
          <input ref={input} type="text" placeholder="/tiles/{z}/{x}/{y}.png" defaultValue={path} spellcheck={false} />
        </label>
        <button
          type="button"
          onClick={() => take(baseMapOf(input.current?.value ?? ""), input.current?.value.trim() ?? "")}
        >
          Use it
        </button>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
