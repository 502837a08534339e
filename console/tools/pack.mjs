// Packs what Vite built into the one archive that detection-api serves: src/http/console_archive.hpp says its form.
// usage: node tools/pack.mjs [DIST [ARCHIVE]]
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const mediaTypes = new Map([
  ["html", "text/html;charset=utf-8"],
  ["js", "text/javascript;charset=utf-8"],
  ["css", "text/css;charset=utf-8"],
  ["json", "application/json"],
  ["svg", "image/svg+xml"],
  ["md", "text/plain;charset=utf-8"],
]);
const budgetBytes = 1_200_000; // compressed, of everything: what the console may weigh

const built = fileURLToPath(new URL("../../build/console/", import.meta.url));
const dist = process.argv[2] ?? join(built, "dist");
const archive = process.argv[3] ?? join(built, "console.archive");

const names = ["index.html", ...readdirSync(join(dist, "assets")).sort()];
let index = "detection-console 1\n";
let gzipBytes = 0;
let brotliBytes = 0;
const forms = [];
for (const name of names) {
  const mediaType = mediaTypes.get(name.split(".").pop() ?? "");
  if (mediaType === undefined || !/^[A-Za-z0-9_.-]+$/.test(name)) throw new Error(`${name} is no file for a console`);
  const plain = readFileSync(join(dist, name === "index.html" ? name : `assets/${name}`));
  const gzip = gzipSync(plain, { level: 9 });
  const brotli = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
  });
  const hash = createHash("sha256").update(plain).digest("hex").slice(0, 32);
  index += `${name} ${mediaType} ${hash} ${plain.length} ${gzip.length} ${brotli.length}\n`;
  forms.push(plain, gzip, brotli);
  gzipBytes += gzip.length;
  brotliBytes += brotli.length;
}
if (gzipBytes > budgetBytes)
  throw new Error(`${gzipBytes} bytes compressed, over the ${budgetBytes} that a console may weigh`);
mkdirSync(dirname(archive), { recursive: true });
// Whole or not at all: a build beside this one may be reading it.
writeFileSync(`${archive}.new`, Buffer.concat([Buffer.from(`${index}\n`), ...forms]));
renameSync(`${archive}.new`, archive);
console.log(`console: ${names.length} files, ${brotliBytes} bytes (brotli), ${gzipBytes} bytes (gzip)`);
