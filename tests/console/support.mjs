// What the browser tests stand on: the real service, a TAK peer, a browser that may speak to nobody else.

import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const fromConsole = createRequire(join(root, "console/package.json"));
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** Waits until `probe` gives something that is not false or undefined. */
export async function until(what, probe, withinMs = 10_000, everyMs = 20) {
  const began = performance.now();
  for (;;) {
    const value = await probe();
    if (value !== false && value !== undefined && value !== null) return value;
    if (performance.now() - began > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(everyMs);
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The project's own TAK peer, or taky: both print "ready PORT PID" and record events in FOLDER/cot. */
export class Peer {
  static async start() {
    const peer = new Peer();
    peer.folder = mkdtempSync(join(tmpdir(), "console-peer-"));
    const taky = existsSync(join(root, ".cache/venv/taky/bin/taky"));
    peer.name = taky ? "taky" : "the project's own peer";
    const program = join(root, taky ? "tests/peers/taky_server.py" : "scripts/tak_peer.py");
    const folder = join(peer.folder, "tak");
    peer.process = spawn("/usr/bin/python3", [program, "--dir", folder], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    peer.records = join(folder, "cot");
    peer.port = await new Promise((resolve, reject) => {
      let text = "";
      peer.process.stdout.on("data", (data) => {
        text += data;
        const ready = /^ready (\d+)/m.exec(text);
        if (ready) resolve(Number(ready[1]));
      });
      peer.process.on("exit", (code) => reject(new Error(`the TAK peer ended with ${code}`)));
    });
    return peer;
  }

  /** Everything that the peer recorded, as text. */
  recorded() {
    if (!existsSync(this.records)) return "";
    return readdirSync(this.records)
      .map((name) => readFileSync(join(this.records, name), "utf8"))
      .join("\n");
  }

  async stop() {
    this.process.removeAllListeners("exit");
    const gone = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGTERM");
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Service {
  constructor(binary, peer) {
    this.binary = binary;
    this.peer = peer;
    this.folder = mkdtempSync(join(tmpdir(), "console-service-"));
    this.keyFile = join(this.folder, "key");
    writeFileSync(this.keyFile, randomBytes(48).toString("base64"));
  }

  static async start(binary, peer) {
    const service = new Service(binary, peer);
    service.port = await freePort();
    service.metricsPort = await freePort();
    service.url = `http://127.0.0.1:${service.port}`;
    await service.again();
    return service;
  }

  /** Starts it (again) on the same port and the same store. */
  async again() {
    const sinks = this.peer ? ["--tak-sink", `tak=tcp://127.0.0.1:${this.peer.port}`] : [];
    const listen = ["--listen", `127.0.0.1:${this.port}`, "--metrics-listen", `127.0.0.1:${this.metricsPort}`];
    const store = ["--data-dir", join(this.folder, "data"), "--jwt-key-file", this.keyFile];
    this.process = spawn(this.binary, ["serve", ...store, ...listen, ...sinks, "--rate-limit", "off"], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    await until("the service is ready", async () => {
      try {
        return (await fetch(`${this.url}/ready`)).ok;
      } catch {
        return false;
      }
    });
  }

  kill() {
    const gone = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGKILL");
    return gone;
  }

  async stop() {
    const gone = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGTERM");
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }

  token(scope, subject = "tester") {
    const made = spawnSync(
      this.binary,
      ["token", "--jwt-key-file", this.keyFile, "--subject", subject, "--scope", scope, "--ttl", "2h"],
      { encoding: "utf8" },
    );
    assert(made.status === 0, made.stderr);
    return made.stdout.trim();
  }

  async ask(method, path, body, type = "application/json") {
    this.admin ??= this.token("detections:write detections:read detections:verify audit:read admin", "poster");
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${this.admin}`,
        ...(body === undefined ? {} : { "Content-Type": type }),
      },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    assert(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  post(detection) {
    return this.ask("POST", "/api/v1/detections", detection);
  }
  batch(detections) {
    return this.ask(
      "POST",
      "/api/v1/detections/batch",
      detections.map((one) => JSON.stringify(one)).join("\n"),
      "application/x-ndjson",
    );
  }
}

/** A camera that looks straight down from 100 m: the detection is right below it, GREEN unless changed. */
export function detection(change = {}, pose = {}) {
  return {
    pixel_x: 512,
    pixel_y: 384,
    object_class: "vehicle",
    ai_confidence: 0.9,
    source: "uav-1",
    camera_id: "eo-1",
    timestamp: new Date().toISOString(),
    ...change,
    sensor_metadata: {
      location_lat: 60,
      location_lon: 24,
      location_elevation: 100,
      heading: 40,
      pitch: -60,
      roll: 0,
      focal_length: 1000,
      image_width: 1024,
      image_height: 768,
      ...pose,
    },
  };
}

export const everything = "detections:write detections:read detections:verify audit:read admin";

export class Browser {
  static async start() {
    const { chromium } = fromConsole("playwright-core");
    const browser = new Browser();
    browser.chromium = await chromium.launch({
      executablePath: process.env.DETECTION_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-proxy-server",
        // Even what the browser itself would like to ask cannot leave this machine.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--enable-precise-memory-info",
        "--js-flags=--expose-gc",
      ],
    });
    return browser;
  }

  /** Every page is watched: a request to another origin, an error of the page or a broken policy fails the test. */
  async context(service, options = {}) {
    const context = await this.chromium.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: "dark",
      reducedMotion: "reduce",
      ...options,
    });
    const watched = { requests: 0, foreign: [], errors: [], expected: [] };
    context.on("request", (request) => {
      watched.requests++;
      const url = request.url();
      if (!url.startsWith(`${service.url}/`) && !url.startsWith("blob:") && !url.startsWith("data:"))
        watched.foreign.push(url);
    });
    context.on("console", (message) => {
      if (message.type() === "error" && !watched.expected.some((words) => words.test(message.text())))
        watched.errors.push(message.text());
    });
    context.on("weberror", (error) => watched.errors.push(String(error.error())));
    context.watched = watched;
    return context;
  }

  async stop() {
    await this.chromium.close();
  }
}

/** Closes the context and says whether it kept to itself. */
export async function closeChecked(context) {
  const { watched } = context;
  await context.close();
  assert(watched.requests > 0, "no request was seen: the check sees nothing");
  assert(watched.foreign.length === 0, `requests left the origin: ${watched.foreign.join(", ")}`);
  assert(watched.errors.length === 0, `errors in the page: ${watched.errors.join(" | ")}`);
}

/** The console, logged in by the address. */
export async function openConsole(context, service, { scope = everything, query = "" } = {}) {
  const page = await context.newPage();
  await page.goto(`${service.url}/${query}#key=${service.token(scope, "operator")}`);
  await page.waitForSelector('[data-feed="live"]', { timeout: 10_000 });
  return page;
}

export const row = (id) => `.row[data-id="${id}"]`;

/** Opaque pixels of the layer of detections within `reach` of a place on the canvas (CSS pixels). */
export function inked(page, x, y, reach = 6) {
  return page.evaluate(
    ({ x, y, reach }) => {
      const canvas = document.querySelector(".detections-layer");
      if (!(canvas instanceof HTMLCanvasElement)) return 0;
      const { data } = canvas.getContext("2d").getImageData(x - reach, y - reach, 2 * reach, 2 * reach);
      let opaque = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i] > 200) opaque++;
      return opaque;
    },
    { x, y, reach },
  );
}
