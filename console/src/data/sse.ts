// Server-sent events out of a byte stream (WHATWG HTML, section 9.2.6). EventSource cannot send a credential in a header.

export interface SseEvent {
  event: string;
  data: string;
  /** The last id that was given, of this event or an earlier one. */
  id: string;
}

export class SseParser {
  /** Of the last block that came whole, with or without an event in it: where a broken stream goes on. */
  lastEventId = "";
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id = "";
  private readonly decoder = new TextDecoder();

  constructor(
    private readonly emit: (event: SseEvent) => void,
    private readonly longestLine = 4_000_000,
  ) {}

  push(bytes: Uint8Array): void {
    const text = this.rest + this.decoder.decode(bytes, { stream: true });
    let begin = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", begin)) {
      this.line(text.slice(begin, end).replace(/\r$/, ""));
      begin = end + 1;
    }
    this.rest = text.slice(begin);
    if (this.rest.length > this.longestLine) throw new Error("a line of the live feed has no end");
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data.length > 0) this.emit({ event: this.event || "message", data: this.data.join("\n"), id: this.id });
      this.lastEventId = this.id;
      this.event = "";
      this.data = [];
      return;
    }
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id") this.id = value;
  }
}
