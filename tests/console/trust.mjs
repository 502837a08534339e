// What an operator may rely on: texts stay texts, the key stays in memory, a small scope is enough, nobody is shut out.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import {
  assert,
  closeChecked,
  detection,
  everything,
  fromConsole,
  openConsole,
  row,
  sleep,
  until,
} from "./support.mjs";

const hostile = [
  `<img src=x onerror="window.broken=1">`,
  `<script>window.broken=1</script>`,
  `"><svg onload=window.broken=1>`,
  `javascript:window.broken=1`,
  `{{constructor.constructor("window.broken=1")()}}`,
  `\u202eright to left\u202c & &lt;b&gt; 'quotes'`,
];

async function hostileTexts({ browser, service }) {
  const context = await browser.context(service);
  const made = await service.post(detection({ ai_confidence: 0.2 }));
  // What the service itself takes as free text: the note, and the subject of a token.
  const page = await context.newPage();
  await page.goto(`${service.url}/#key=${service.token(everything, hostile[0])}`);
  await page.waitForSelector(row(made.detection_id));
  await page.locator(row(made.detection_id)).click();
  await page.getByLabel(/Note/).fill(hostile.join(" "));
  await page.getByRole("button", { name: /^Reject/ }).click();
  await page.locator(".notes", { hasText: hostile[1] }).waitFor();
  await page.locator(".decide", { hasText: `by ${hostile[0]}` }).waitFor();
  await page.locator(".timeline", { hasText: hostile[0] }).waitFor();
  // What it would refuse, in case another one does not: every text of every answer.
  const poison = (value) => {
    if (Array.isArray(value)) return value.map(poison);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => {
        const fixed = /^(detection_id|timestamp|received|time|since|flag|state|status|next_cursor|severity)$/.test(key);
        return [key, typeof one === "string" && !fixed ? `${key} ${hostile.join(" ")}` : poison(one)];
      }),
    );
  };
  await context.route(/\/(api|ready)/, async (route) => {
    if (/events|verify/.test(route.request().url())) return route.continue();
    const answer = await route.fetch();
    if (/\/cot$/.test(route.request().url()))
      return route.fulfill({ response: answer, body: `<event uid="${hostile.join("")}"/>` });
    return route.fulfill({ response: answer, json: poison(await answer.json()) });
  });
  const poisoned = await openConsole(context, service);
  await poisoned.waitForSelector(row(made.detection_id));
  await poisoned.locator(row(made.detection_id)).click();
  for (const field of ["object_class", "source", "camera_id"])
    await poisoned.locator(row(made.detection_id), { hasText: `${field} ${hostile[0]}` }).waitFor();
  await poisoned.locator(".detail", { hasText: hostile[2] }).waitFor();
  await poisoned.locator(".timeline", { hasText: hostile[0] }).waitFor();
  await poisoned.locator(".detail summary").click();
  await poisoned.locator(".xml", { hasText: "onerror" }).waitFor();
  await poisoned.keyboard.press("o");
  await poisoned.locator(".sink", { hasText: hostile[0] }).waitFor();
  await poisoned.keyboard.press("Escape");
  await poisoned.keyboard.press("f");
  await poisoned.locator("option", { hasText: `object_class ${hostile[0]}` }).waitFor({ state: "attached" });
  for (const one of [page, poisoned]) {
    assert((await one.evaluate(() => window.broken)) === undefined, "a text was run");
    assert((await one.locator("#app img, #app script, svg[onload]").count()) === 0, "a text became an element");
  }
  await closeChecked(context);
}

async function onlyRead({ browser, service }) {
  const held = await service.post(detection({ ai_confidence: 0.2 }));
  const context = await browser.context(service);
  const refused = [];
  context.on("response", (answer) => {
    if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.url()}`);
  });
  const page = await openConsole(context, service, { scope: "detections:read" });
  await page.locator(row(held.detection_id)).click();
  await page.locator(".detail", { hasText: "detections:verify" }).waitFor();
  await page.locator(".detail", { hasText: "audit:read" }).waitFor();
  assert((await page.getByRole("button", { name: /Release/ }).count()) === 0, "a decision is offered");
  await page.keyboard.press("r");
  await page.locator(".detail summary").click();
  await page.locator(".xml", { hasText: held.cot.uid }).waitFor();
  await page.keyboard.press("o");
  await page.locator(".operation", { hasText: "audit:read" }).waitFor();
  const later = await service.post(detection());
  await page.waitForSelector(row(later.detection_id));
  await page.locator(row(later.detection_id), { hasText: "Delivered" }).waitFor();
  await page.locator(".sinks", { hasText: "connected" }).waitFor();
  assert(
    (await service.ask("GET", `/api/v1/detections/${held.detection_id}`)).delivery.state === "held",
    "it was decided",
  );
  assert(refused.length === 0, `asked for what it may not have: ${refused.join(", ")}`);
  await closeChecked(context);
}

async function login({ browser, service }) {
  const context = await browser.context(service);
  context.watched.expected.push(/401|403/);
  const page = await context.newPage();
  await page.goto(service.url);
  await page.getByText("./run", { exact: true }).waitFor();
  const field = page.getByLabel("API key or token");
  await field.fill("dsk_unknown_secret");
  await page.keyboard.press("Enter");
  await page.getByText("This key is not good").waitFor();
  await field.fill(service.token("detections:write"));
  await page.keyboard.press("Enter");
  await page.getByText("may not read detections").waitFor();
  // An API key says through the token endpoint what it may.
  const { key } = await service.ask("POST", "/api/v1/api-keys", {
    name: "map",
    scopes: ["detections:read", "audit:read"],
  });
  await field.fill(key);
  await page.keyboard.press("Enter");
  await page.waitForSelector('[data-feed="live"]');
  const held = await service.post(detection({ ai_confidence: 0.2 }));
  await page.locator(row(held.detection_id)).click();
  await page.locator(".detail", { hasText: "detections:verify" }).waitFor();
  // Nowhere but in memory: not in the address, the history, any storage; gone after a reload.
  const kept = await page.evaluate(async () => [
    location.href,
    document.cookie,
    JSON.stringify({ ...localStorage }),
    JSON.stringify({ ...sessionStorage }),
    JSON.stringify(history.state),
    JSON.stringify(await indexedDB.databases()),
  ]);
  assert(!kept.join().includes("dsk_"), `the key was kept: ${kept}`);
  await page.reload();
  await field.waitFor();
  // By the fragment of an address, which is gone at once.
  const other = await context.newPage();
  const token = service.token(everything);
  await other.goto(`${service.url}/?flag=RED#key=${token}`);
  await other.waitForSelector('[data-feed="live"]');
  assert(!other.url().includes("#") && !other.url().includes(token.slice(0, 20)), "the key is still in the address");
  assert((await other.evaluate(() => history.length)) <= 2, "the address with the key is in the history");
  // The key ends: the map says why and asks for another.
  const parts = key.split("_");
  const third = await context.newPage();
  await third.goto(`${service.url}/#key=${key}`);
  await third.waitForSelector('[data-feed="live"]');
  const revoked = await fetch(`${service.url}/api/v1/api-keys/${parts[1]}`, {
    method: "DELETE",
    headers: { Authorization: `Bearer ${service.admin}` },
  });
  assert(revoked.status === 204, `${revoked.status}`);
  await third.getByText("You were logged out").waitFor({ timeout: 10_000 });
  await closeChecked(context);
}

async function policy({ service }) {
  const page = await fetch(`${service.url}/`, { headers: { "Accept-Encoding": "br" } });
  const html = await page.text();
  const rules = page.headers.get("content-security-policy") ?? "";
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ])
    assert(rules.includes(rule), `no ${rule} in ${rules}`);
  assert(!/unsafe|\*|https?:/.test(rules), rules);
  assert(page.headers.get("x-content-type-options") === "nosniff", "no nosniff");
  assert(!/<script(?![^>]* src=)|<style| style=| on[a-z]+=/.test(html), "there is inline code or style in the page");
  const names = [...html.matchAll(/\/assets\/[A-Za-z0-9_.-]+/g)].map(([name]) => name);
  assert(names.length >= 3, "too few assets");
  for (const name of names) {
    const answer = await fetch(service.url + name, { headers: { "Accept-Encoding": "br" } });
    assert(answer.status === 200, `${name}: ${answer.status}`);
    assert(answer.headers.get("cache-control")?.includes("immutable") === true, `${name} is not kept`);
    const again = await fetch(service.url + name, {
      headers: { "Accept-Encoding": "br", "If-None-Match": answer.headers.get("etag") },
    });
    assert(again.status === 304, `${name}: ${again.status} for its own tag`);
  }
}

async function accessible({ browser, service }) {
  const axe = readFileSync(fromConsole.resolve("axe-core/axe.min.js"), "utf8");
  for (let i = 0; i < 6; i++)
    await service.post(detection({ ai_confidence: [0.9, 0.5, 0.2][i % 3], source: `uav-${i}` }));
  // axe is put in by the test, past the policy of the page.
  const context = await browser.context(service, { bypassCSP: true });
  const looked = [];
  const look = async (page, where) => {
    await sleep(250);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const words = serious.map(({ id, nodes }) => `${id} at ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    assert(serious.length === 0, `${where}: ${words.join("; ")}`);
    looked.push(where);
  };
  const outside = await context.newPage();
  await outside.goto(service.url);
  await outside.getByLabel("API key or token").waitFor();
  await look(outside, "login");
  const page = await openConsole(context, service);
  await page.waitForSelector(".row");
  for (const theme of ["night", "day"]) {
    if ((await page.evaluate(() => document.documentElement.dataset.theme)) !== theme) await page.keyboard.press("t");
    await look(page, `${theme}, list`);
    await page.keyboard.press("h");
    await page.keyboard.press("j");
    await page.waitForSelector(".decide");
    await look(page, `${theme}, a held one`);
    await page.keyboard.press("Escape");
    await page.keyboard.press("a");
    await page.keyboard.press("f");
    await look(page, `${theme}, filters`);
    await page.keyboard.press("f");
    await page.keyboard.press("o");
    await page.waitForSelector(".sink");
    await look(page, `${theme}, operation`);
    await page.keyboard.press("Escape");
    for (const key of ["?", "b"]) {
      await page.keyboard.press(key);
      await page.waitForSelector("dialog[open]");
      await look(page, `${theme}, ${key}`);
      await page.keyboard.press("Escape");
      await page.waitForSelector("dialog", { state: "detached" });
    }
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await look(page, "phone");
  await closeChecked(context);
  return `${looked.length} views`;
}

/** A PMTiles archive (version 3) of one green PNG tile for the whole world. */
function onePng() {
  const crcTable = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
  });
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const crc = body.reduce((sum, byte) => (crcTable[(sum ^ byte) & 255] ^ (sum >>> 8)) >>> 0, 0xffffffff) ^ 0xffffffff;
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc >>> 0, body.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 1, 0, 0, 0, 1, 0, 8, 2, 0, 0, 0]); // 256 by 256, 8 bits, RGB
  const line = Buffer.concat([Buffer.from([0]), Buffer.concat(Array(256).fill(Buffer.from([10, 200, 30])))]);
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(Buffer.concat(Array(256).fill(line)))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
function onePmtiles() {
  const tile = onePng();
  const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
  // One entry: tile id 0, a run of 1, its length, its offset + 1.
  const directory = Buffer.from([1, 0, 1, ...varint(tile.length), 1]);
  const metadata = Buffer.from("{}");
  const header = Buffer.alloc(127);
  header.write("PMTiles");
  header[7] = 3;
  const places = [
    127,
    directory.length,
    127 + directory.length,
    metadata.length,
    0,
    0,
    127 + directory.length + metadata.length,
    tile.length,
  ];
  places.concat([1, 1, 1]).forEach((value, i) => header.writeBigUInt64LE(BigInt(value), 8 + 8 * i));
  header.set([1, 1, 1, 2, 0, 0], 96); // clustered, nothing compressed, PNG, zoom 0 to 0
  header.writeInt32LE(-1_800_000_000, 102);
  header.writeInt32LE(-850_000_000, 106);
  header.writeInt32LE(1_800_000_000, 110);
  header.writeInt32LE(850_000_000, 114);
  return Buffer.concat([header, directory, metadata, tile]);
}

async function ownMap({ browser, service }) {
  const folder = mkdtempSync(join(tmpdir(), "console-map-"));
  writeFileSync(join(folder, "area.pmtiles"), onePmtiles());
  const context = await browser.context(service);
  const page = await openConsole(context, service);
  await page.keyboard.press("b");
  await page.getByLabel("Tiles or PMTiles on this server").fill("https://tiles.example/{z}/{x}/{y}.png");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("Give a path of this server").waitFor();
  await page.getByLabel(/A PMTiles file/).setInputFiles(join(folder, "area.pmtiles"));
  await page.waitForSelector("dialog", { state: "detached" });
  await until("the tile is drawn", () =>
    page.evaluate(() =>
      [...document.querySelectorAll(".map canvas:not(.detections-layer)")].some((canvas) => {
        const [r, g, b] = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
        return r < 60 && g > 150 && b < 80;
      }),
    ),
  );
  rmSync(folder, { recursive: true, force: true });
  await closeChecked(context);
}

export const tests = [
  { name: "hostile strings are text", run: hostileTexts },
  { name: "detections:read is enough", run: onlyRead },
  { name: "login, and the key in memory only", run: login },
  { name: "policy and caching", run: policy },
  { name: "axe finds no serious problem", run: accessible },
  { name: "a map of one's own", run: ownMap },
];
