import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, logIn, type Api } from "../data/api";
import { wordsOf } from "../data/session";

/** `why`: why one is here again. */
export function Login({ why, done }: { why: string | null; done: (api: Api) => void }) {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    const secret = input.current?.value.trim() ?? "";
    if (secret === "") return setProblem("Paste an API key or a token first.");
    setBusy(true);
    setProblem(null);
    try {
      done(await logIn(secret));
    } catch (error) {
      setProblem(refusal(error));
      setBusy(false);
      input.current?.select();
    }
  };

  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)}>
        <h1>Detection System</h1>
        <p class="lead">The map of what was detected, how well it is known, and what became of it.</p>
        {why !== null && (
          <p class="notice" role="status">
            {why}
          </p>
        )}
        <label for="key">API key or token</label>
        {/* Not a password field of a site: nothing should offer to keep it. */}
        <input id="key" ref={input} type="password" autocomplete="off" spellcheck={false} disabled={busy} />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Looking at the key…" : "Open the map"}
        </button>
        <p class="problem" role="alert">
          {problem}
        </p>
        <h2>Where is the key?</h2>
        <ul>
          <li>
            <code>./run</code> prints an address that brings its key along: open that one.
          </li>
          <li>
            <code>
              detection-api key create --data-dir data --name me --scope "detections:read detections:verify audit:read"
            </code>{" "}
            makes one and prints it once.
          </li>
          <li>
            <code>detection-api token --jwt-key-file FILE --subject me --scope detections:read --ttl 12h</code> prints a
            token.
          </li>
        </ul>
        <p class="small">
          <code>detections:read</code> is enough to look; <code>detections:verify</code> releases and rejects;{" "}
          <code>audit:read</code> shows timelines and the state of delivery. The key stays in the memory of this page
          and is gone when it is closed.
        </p>
      </form>
    </main>
  );
}

function refusal(error: unknown): string {
  if (!(error instanceof ApiError)) return wordsOf(error);
  if (error.status === 401) return `This key is not good: ${error.message}.`;
  if (error.status === 403) return `This key may not read detections: ${error.message}.`;
  if (error.status === 429) return `Too many tries. Again in ${error.retryAfterS ?? 60} s.`;
  return error.message;
}
