// The operator's key. It lives in this module's memory and nowhere else: no storage, no cookie, no address.

export type Scope = "detections:read" | "detections:write" | "detections:verify" | "audit:read" | "admin";

export interface Credential {
  /** As it goes behind "Bearer". */
  secret: string;
  /** What it may do; null: not known, each thing is tried and the service says. */
  scopes: ReadonlySet<Scope> | null;
  /** Milliseconds since 1970; null: it does not say. */
  expiresMs: number | null;
  subject: string | null;
}

/** An API key (dsk_<id>_<secret>) in its two parts; null for what is none. */
export function apiKeyParts(secret: string): { id: string; secret: string } | null {
  const parts = /^(dsk_[A-Za-z0-9-]+)_(.+)$/.exec(secret);
  return parts?.[1] !== undefined && parts[2] !== undefined ? { id: parts[1], secret: parts[2] } : null;
}

/** What a token (JWT) says of itself. The service checks it; this only decides what is offered. */
export function readToken(secret: string): Credential {
  const unknown: Credential = { secret, scopes: null, expiresMs: null, subject: null };
  const payload = secret.split(".")[1];
  if (payload === undefined) return unknown;
  try {
    const base64 = payload.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as { scope?: unknown; exp?: unknown; sub?: unknown };
    return {
      secret,
      scopes: typeof claims.scope === "string" ? scopesOf(claims.scope) : null,
      expiresMs: typeof claims.exp === "number" ? claims.exp * 1000 : null,
      subject: typeof claims.sub === "string" ? claims.sub : null,
    };
  } catch {
    return unknown;
  }
}

export function scopesOf(text: string): ReadonlySet<Scope> {
  return new Set(text.split(" ").filter((word) => word !== "") as Scope[]);
}

export function may(credential: Credential, scope: Scope): boolean {
  return credential.scopes === null || credential.scopes.has(scope);
}

/**
 * Takes the key out of the address (#key=...), which then has none any more: not on the screen, not in the history.
 * Null: there was none.
 */
export function takeKeyFromAddress(): string | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const key = fragment.get("key");
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  return key === null || key.trim() === "" ? null : key.trim();
}
