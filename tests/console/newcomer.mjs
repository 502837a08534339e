// Whoever runs ./run and opens the address that it prints: real detections arrive, with their ellipses, within 10 s.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { assert, closeChecked, root, until } from "./support.mjs";

const withinMs = 10_000;

async function newcomer({ browser }) {
  // A group of its own, so that what it started ends with it.
  const run = spawn(join(root, "run"), [], { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const ended = new Promise((resolve) => run.on("exit", resolve));
  let text = "";
  run.stdout.on("data", (data) => (text += data));
  run.stderr.on("data", (data) => (text += data));
  try {
    await until("./run prints Running", () => text.includes("Running;") || run.exitCode !== null, 900_000, 200);
    const address = /map: +(http:\S+)/.exec(text)?.[1];
    assert(address !== undefined, `no address in what ./run printed: ${text.slice(-600)}`);
    const context = await browser.context({ url: new URL(address).origin });
    const page = await context.newPage();
    const began = performance.now();
    await page.goto(address);
    const first = await (await page.waitForSelector(".row", { timeout: withinMs })).getAttribute("data-id");
    await until(
      "a further one arrives",
      async () => (await page.locator(".row").first().getAttribute("data-id")) !== first,
      withinMs,
    );
    // An ellipse: its faint filling, in the colour of its flag, on the layer that has none where there is none.
    await until(
      "an ellipse is drawn",
      () =>
        page.evaluate(() => {
          const canvas = document.querySelector(".detections-layer");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let filled = 0;
          for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] > 15 && data[i + 3] < 120 && data[i + 1] > data[i] + 60) filled++;
          return filled > 300;
        }),
      withinMs,
    );
    const took = performance.now() - began;
    assert(took < withinMs, `after ${took} ms`);
    await closeChecked(context);
    return `after ${(took / 1000).toFixed(1)} s`;
  } finally {
    run.kill("SIGTERM");
    await ended;
  }
}

export const tests = [{ name: "a newcomer of ./run", run: newcomer }];
