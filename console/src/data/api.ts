// Requests to the service that this page came from, and to no other.

import { apiKeyParts, readToken, scopesOf, type Credential } from "./credential";
import type { Problem } from "./types";

/** What the service (or the way to it) said instead of an answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

export class Api {
  constructor(readonly credential: Credential) {}

  async request(path: string, init: RequestInit & { accept?: string } = {}): Promise<Response> {
    const { accept, ...rest } = init;
    const headers = new Headers(rest.headers);
    headers.set("Accept", accept ?? "application/json");
    headers.set("Authorization", `Bearer ${this.credential.secret}`);
    return send(path, { ...rest, headers });
  }

  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    const answer = await this.request(path, signal ? { signal } : {});
    return (await answer.json()) as T;
  }

  async text(path: string, accept: string): Promise<string> {
    return (await this.request(path, { accept })).text();
  }

  async send<T>(method: "PUT" | "POST", path: string, body?: unknown): Promise<T> {
    const init: RequestInit =
      body === undefined
        ? { method }
        : { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    return (await (await this.request(path, init)).json()) as T;
  }
}

async function send(path: string, init: RequestInit): Promise<Response> {
  if (!path.startsWith("/")) throw new Error("only paths of this origin are asked");
  let answer: Response;
  try {
    // A key must not follow a redirect to somewhere else; cookies are nothing to this service.
    answer = await fetch(path, { ...init, credentials: "omit", redirect: "error", cache: "no-store" });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, "unreachable", "The service cannot be reached.");
  }
  if (answer.ok) return answer;
  throw await refusalOf(answer);
}

async function refusalOf(answer: Response): Promise<ApiError> {
  const retry = Number(answer.headers.get("Retry-After"));
  const retryAfterS = Number.isFinite(retry) && retry > 0 ? retry : null;
  try {
    const problem = (await answer.json()) as Problem;
    const fields = (problem.errors ?? []).map((e) => `${e.field} ${e.message}`);
    const words = [problem.detail ?? problem.title, ...fields].join("; ");
    return new ApiError(answer.status, problem.code, words, retryAfterS);
  } catch {
    return new ApiError(answer.status, "unknown", `The service answered ${answer.status}.`, retryAfterS);
  }
}

/** Tries a key: the credential with what it may do. Throws an ApiError where it is not good for reading detections. */
export async function logIn(secret: string): Promise<Api> {
  const parts = apiKeyParts(secret);
  let credential = readToken(secret);
  if (parts !== null) credential = { ...credential, scopes: await scopesOfKey(parts) };
  const api = new Api(credential);
  await api.get("/api/v1/detections?limit=1");
  return api;
}

/** The token endpoint tells what an API key may; where it cannot (only foreign keys sign there), nobody does. */
async function scopesOfKey(key: { id: string; secret: string }): Promise<Credential["scopes"]> {
  try {
    const answer = await send("/api/v1/auth/token", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ grant_type: "client_credentials", client_id: key.id, client_secret: key.secret }),
    });
    return scopesOf(((await answer.json()) as { scope: string }).scope);
  } catch (error) {
    if (error instanceof ApiError && error.status !== 401 && error.status !== 0) return null;
    throw error;
  }
}

export async function getReady(): Promise<import("./types").Ready> {
  const answer = await fetch("/ready", { credentials: "omit", cache: "no-store" });
  return (await answer.json()) as import("./types").Ready;
}
