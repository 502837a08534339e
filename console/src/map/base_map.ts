// Which map lies under the detections.

export type BaseMap =
  | { kind: "world" }
  | { kind: "xyz"; path: string }
  | { kind: "pmtiles"; path: string }
  | { kind: "file"; file: File };

/** A path of this server, or null: nothing is ever asked of another one. */
export function ownPath(text: string): string | null {
  const path = text.trim();
  return /^\/(?![/\\])[^\s]*$/.test(path) ? path : null;
}

export function baseMapOf(text: string): BaseMap | null {
  const path = ownPath(text);
  if (path === null) return null;
  if (path.includes("{z}") && path.includes("{x}") && /\{-?y\}/.test(path)) return { kind: "xyz", path };
  return /\.pmtiles$/i.test(path) ? { kind: "pmtiles", path } : null;
}
