// Many: 20,000 on the map while it is moved, and 100 more each second.

import { assert, closeChecked, detection, openConsole, sleep, until } from "./support.mjs";

const many = 20_000;
const framesLeast = 30;
const growthMost = 1.1;

function spread(i) {
  const classes = ["vehicle", "person", "tank", "boat", "drone", "truck", "helicopter"];
  const angle = i * 2.399963; // the golden angle: even all over
  const radius = 0.25 * Math.sqrt(i / many);
  return detection(
    {
      object_class: classes[i % classes.length],
      ai_confidence: [0.95, 0.8, 0.5, 0.9, 0.3][i % 5],
      source: `uav-${i % 40}`,
    },
    { location_lat: 60 + radius * Math.sin(angle), location_lon: 24 + 2 * radius * Math.cos(angle), heading: i % 360 },
  );
}

/** Counts the frames of the page while something is done, and the longest wait between two. */
async function framesDuring(page, action) {
  await page.evaluate(() => {
    const times = (window.frameTimes = []);
    const tick = (now) => {
      times.push(now);
      window.frameTimer = requestAnimationFrame(tick);
    };
    window.frameTimer = requestAnimationFrame(tick);
  });
  await action();
  return page.evaluate(() => {
    cancelAnimationFrame(window.frameTimer);
    const times = window.frameTimes;
    const gaps = times.slice(1).map((time, i) => time - times[i]);
    return { rate: (1000 * gaps.length) / (times.at(-1) - times[0]), longest: Math.max(...gaps) };
  });
}

async function drag(page, box, milliseconds) {
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  const began = performance.now();
  for (let t = 0; t < milliseconds; t = performance.now() - began) {
    await page.mouse.move(x + 220 * Math.sin(t / 300), y + 160 * Math.sin(t / 410));
    await sleep(8);
  }
  await page.mouse.up();
}

async function wheel(page, box, milliseconds) {
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const began = performance.now();
  for (let i = 0; performance.now() - began < milliseconds; i++) {
    await page.mouse.wheel(0, Math.floor(i / 12) % 2 === 0 ? -120 : 120);
    await sleep(60);
  }
}

async function heapBytes(network) {
  await network.send("HeapProfiler.collectGarbage");
  const { usedSize } = await network.send("Runtime.getHeapUsage");
  return usedSize;
}

async function moved({ browser, service, options }) {
  for (let i = 0; i < many; i += 5_000) await service.batch(Array.from({ length: 5_000 }, (_, k) => spread(i + k)));
  const context = await browser.context(service, { reducedMotion: "no-preference" });
  const page = await openConsole(context, service, { query: "?view=60,24,11" });
  await page.waitForFunction(() => document.querySelector("h1")?.textContent?.startsWith("20,000"), null, {
    timeout: 60_000,
  });
  await sleep(1_500);
  const box = await page.locator(".map").boundingBox();
  const results = [];
  for (const [name, action] of [
    ["pan", () => drag(page, box, 3_000)],
    ["zoom", () => wheel(page, box, 3_000)],
    ["pan close up", () => drag(page, box, 3_000)],
  ]) {
    const { rate, longest } = await framesDuring(page, action);
    results.push(`${name} ${rate.toFixed(0)} frames/s (longest ${longest.toFixed(0)} ms)`);
    assert(rate >= framesLeast, `only ${results.at(-1)}`);
    if (name === "zoom") await page.keyboard.press("+");
  }
  results.push(await steady(context, page, service, options.long ? 600 : 30));
  await closeChecked(context);
  return results.join(", ");
}

/** Full from the beginning: each one that comes pushes one out. */
async function steady(context, page, service, seconds) {
  const network = await context.newCDPSession(page);
  const samples = [];
  const began = performance.now();
  let posted = 0;
  const lag = [];
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * 100) - posted;
    if (due >= 20) {
      const answer = await service.batch(Array.from({ length: due }, (_, k) => spread(posted + k)));
      posted += due;
      if (lag.length < (performance.now() - began) / 2_000) {
        const last = answer.results.at(-1).detection_id;
        const sent = performance.now();
        // Not waitForSelector: the handle that it gives would keep the row, and with it the list it was of.
        await page.locator(`.row[data-id="${last}"]`).waitFor({ timeout: 5_000 });
        lag.push(performance.now() - sent);
      }
    }
    const wanted = Math.floor((performance.now() - began) / ((seconds * 1000) / 12));
    if (samples.length < wanted) samples.push(await heapBytes(network));
    await sleep(50);
  }
  // The first quarter warms up; the rest is compared by its halves.
  const calm = samples.slice(3);
  const middle = Math.floor(calm.length / 2);
  const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
  const growth = mean(calm.slice(middle)) / mean(calm.slice(0, middle));
  const inMb = samples.map((bytes) => (bytes / 1e6).toFixed(0)).join(" ");
  assert(growth <= growthMost, `the heap grows: ${inMb} MB`);
  lag.sort((a, b) => a - b);
  const median = lag[Math.floor(lag.length / 2)];
  assert(median < 1_000, `in the list after ${median} ms`);
  const left = await page.evaluate(() => document.querySelector("h1").textContent);
  await until(
    "no more than it keeps",
    async () => Number.parseInt((await page.locator("h1").textContent()).replace(",", "")) <= 21_000,
  );
  return `${posted} in ${seconds} s, heap ${inMb} MB, in the list after ${Math.round(median)} ms; ${left}`;
}

export const tests = [{ name: "20,000 on the map, and 100 more a second", run: moved }];
