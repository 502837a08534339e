// A base map of the user's: tiles and PMTiles of the same origin, PMTiles files of this computer, raster and vector.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { assert, closeChecked, openConsole, until } from "./support.mjs";

/** A PNG of 256 by 256 pixels of one colour. */
function onePng(colour) {
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
  const line = Buffer.concat([Buffer.from([0]), Buffer.concat(Array(256).fill(Buffer.from(colour)))]);
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(Buffer.concat(Array(256).fill(line)))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);

/** A Mapbox vector tile (2.1) whose layer `building` has one square as large as the tile. */
function oneVectorTile() {
  const field = (number, bytes) => [(number << 3) | 2, ...varint(bytes.length), ...bytes];
  const zigzag = (value) => varint(value < 0 ? -2 * value - 1 : 2 * value);
  const to = (x, y) => [...zigzag(x), ...zigzag(y)];
  const command = (id, count) => varint(id | (count << 3));
  const square = [...command(1, 1), ...to(0, 0), ...command(2, 3), ...to(4096, 0), ...to(0, 4096), ...to(-4096, 0)];
  const feature = [0x18, 3, ...field(4, [...square, ...command(7, 1)])]; // a polygon
  const layer = [0x78, 2, ...field(1, Buffer.from("building")), ...field(2, feature), 0x28, ...varint(4096)];
  return Buffer.from(field(3, layer));
}

const [vector, raster] = [1, 2]; // tile types of PMTiles: MVT, PNG

/** A PMTiles archive (version 3) of one tile for the whole world. */
function onePmtiles(tile, type) {
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
  header.set([1, 1, 1, type, 0, 0], 96); // clustered, nothing compressed, zoom 0 to 0
  header.writeInt32LE(-1_800_000_000, 102);
  header.writeInt32LE(-850_000_000, 106);
  header.writeInt32LE(1_800_000_000, 110);
  header.writeInt32LE(850_000_000, 114);
  return Buffer.concat([header, directory, metadata, tile]);
}

/** Waits until this colour lies in the middle of the base map. */
function drawn(page, what, colour) {
  return until(`${what} is drawn`, () =>
    page.evaluate(
      (colour) =>
        [...document.querySelectorAll(".map canvas:not(.detections-layer)")].some((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1);
          return colour.every((value, i) => Math.abs(value - data[i]) <= 2);
        }),
      colour,
    ),
  );
}

const buildingByDay = [0xe4, 0xdd, 0xcf];
const buildingByNight = [0x26, 0x31, 0x3b];

async function files({ browser, service }) {
  const folder = mkdtempSync(join(tmpdir(), "console-map-"));
  const context = await browser.context(service);
  const page = await openConsole(context, service);
  const choose = async (name, bytes) => {
    writeFileSync(join(folder, name), bytes);
    await page.keyboard.press("b");
    await page.getByLabel(/A PMTiles file/).setInputFiles(join(folder, name));
  };
  const closed = () => page.waitForSelector("dialog", { state: "detached" });
  await choose("raster.pmtiles", onePmtiles(onePng([10, 200, 30]), raster));
  await closed();
  await drawn(page, "the raster file", [10, 200, 30]);
  await choose("vector.pmtiles", onePmtiles(oneVectorTile(), vector));
  await closed();
  const byTheme = { day: buildingByDay, night: buildingByNight };
  const theme = await page.evaluate(() => document.documentElement.dataset.theme);
  await drawn(page, `the vector file by ${theme}`, byTheme[theme]);
  const other = theme === "day" ? "night" : "day";
  await page.keyboard.press("t");
  await drawn(page, `the vector file by ${other}`, byTheme[other]);
  // What is none is said, and the map of before stays.
  for (const [name, bytes] of [
    ["random.pmtiles", Buffer.from("this is no map".repeat(100))],
    ["empty.pmtiles", Buffer.alloc(0)],
    ["cut.pmtiles", onePmtiles(onePng([1, 2, 3]), raster).subarray(0, 60)],
  ]) {
    await choose(name, bytes);
    await page.getByText(/That map cannot be read/).waitFor();
    await page.keyboard.press("Escape");
    await closed();
  }
  await drawn(page, "the vector file, still", byTheme[other]);
  rmSync(folder, { recursive: true, force: true });
  await closeChecked(context);
}

async function sameOrigin({ browser, service }) {
  const context = await browser.context(service);
  // The proxy before the service, which has maps under its origin.
  await context.route(`${service.url}/tiles/**`, (route) =>
    route.fulfill({ contentType: "image/png", body: onePng([200, 30, 10]) }),
  );
  const archive = onePmtiles(onePng([30, 10, 200]), raster);
  await context.route(`${service.url}/maps/area.pmtiles`, (route) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(route.request().headers().range ?? "");
    assert(range !== null, "the archive was asked for without a range");
    const [first, last] = [Number(range[1]), Math.min(Number(range[2]), archive.length - 1)];
    return route.fulfill({
      status: 206,
      headers: { "Content-Range": `bytes ${first}-${last}/${archive.length}`, ETag: '"1"' },
      body: archive.subarray(first, last + 1),
    });
  });
  const page = await openConsole(context, service);
  const choose = async (path) => {
    await page.keyboard.press("b");
    await page.getByLabel("Tiles or PMTiles on this server").fill(path);
    await page.getByRole("button", { name: "Use it" }).click();
  };
  for (const path of ["https://tiles.example/{z}/{x}/{y}.png", "//tiles.example/{z}/{x}/{y}.png", "/nothing", ""]) {
    await choose(path);
    await page.getByText("Give a path of this server").waitFor();
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
  }
  await choose("/tiles/{z}/{x}/{y}.png");
  await page.waitForSelector("dialog", { state: "detached" });
  await drawn(page, "the tile", [200, 30, 10]);
  await choose("/maps/area.pmtiles");
  await page.waitForSelector("dialog", { state: "detached" });
  await drawn(page, "the archive", [30, 10, 200]);
  await closeChecked(context);
}

export const tests = [
  { name: "a map of one's own: files", run: files },
  { name: "a map of one's own: of the same origin", run: sameOrigin },
];
