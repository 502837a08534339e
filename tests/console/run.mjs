// The console in a real browser, before the real service and a TAK peer.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Browser, Peer, Service, root } from "./support.mjs";
import { tests as basic } from "./basic.mjs";
import { tests as decisions } from "./decisions.mjs";
import { tests as trust } from "./trust.mjs";
import { tests as ownMap } from "./own_map.mjs";
import { tests as load } from "./load.mjs";
import { tests as newcomer } from "./newcomer.mjs";
import { tests as pictures } from "./pictures.mjs";

const usage = `usage: scripts/console.sh browser [--binary FILE] [--long] [--only WORD] [--pictures FOLDER]
  Runs the tests of the console in headless Chromium (Debian's) against the real service, on 127.0.0.1.
  --binary FILE       the service (default: the newest of build/release/bin and build/dev/bin)
  --long              20,000 detections for 10 minutes instead of 30 s, and ./run as a newcomer opens it
  --only WORD         only the tests whose name has this word
  --pictures FOLDER   also make the pictures of the docs (docs/console)
  Prints "ok NAME" or "FAILED NAME: why" for each, last how many passed. Exit 0: all passed, 1: not, 2: wrong usage, 77: no browser.
`;

const options = { binary: null, long: false, only: "", pictures: null };
const rest = process.argv.slice(2);
while (rest.length > 0) {
  const name = rest.shift();
  if (name === "--help" || name === "-h") {
    process.stdout.write(usage);
    process.exit(0);
  } else if (name === "--long") options.long = true;
  else if (["--binary", "--only", "--pictures"].includes(name) && rest.length > 0)
    options[name.slice(2)] = rest.shift();
  else {
    process.stderr.write(`tests/console: '${name}' is not known\n${usage}`);
    process.exit(2);
  }
}
const binary = resolve(
  options.binary ??
    ["release", "dev"]
      .map((preset) => join(root, "build", preset, "bin/detection-api"))
      .find((file) => existsSync(file)) ??
    "build/release/bin/detection-api",
);
if (!existsSync(binary)) {
  process.stderr.write(`tests/console: there is no ${binary} (./run --build)\n`);
  process.exit(1);
}
if (!existsSync(process.env.DETECTION_CHROMIUM ?? "/usr/bin/chromium")) {
  console.log("SKIPPED console in a browser: no Chromium (scripts/setup.sh test)");
  process.exit(77);
}

const all = [
  ...basic,
  ...decisions,
  ...trust,
  ...ownMap,
  ...load,
  ...(options.long || options.only.includes("newcomer") ? newcomer : []),
  ...(options.pictures === null ? [] : pictures),
];
const wanted = all.filter(({ name }) => name.includes(options.only));
let passed = 0;
let failed = 0;
const browser = await Browser.start();
const peer = await Peer.start();
console.log(`TAK peer: ${peer.name}`);
try {
  for (const { name, run } of wanted) {
    const began = performance.now();
    // A service of its own for each: no test depends on another's detections.
    const service = await Service.start(binary, peer);
    try {
      const figures = await run({ browser, peer, service, options });
      passed++;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`ok console ${name}${figures === undefined ? "" : `: ${figures}`} (${seconds} s)`);
    } catch (error) {
      failed++;
      console.log(`FAILED console ${name}: ${error instanceof Error ? error.message : error}`);
      if (error instanceof Error && process.env.DETECTION_TRACE) console.log(error.stack);
    } finally {
      await service.stop();
      for (const context of browser.chromium.contexts()) await context.close();
    }
  }
} finally {
  await peer.stop();
  await browser.stop();
}
if (wanted.length === 0) failed++;
console.log(failed === 0 ? `${passed} passed` : `${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
