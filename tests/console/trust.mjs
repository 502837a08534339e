// What an operator may rely on: texts stay texts, the key stays in memory, a small scope is enough, nobody is shut out.

import { readFileSync } from "node:fs";
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

export const tests = [
  { name: "hostile strings are text", run: hostileTexts },
  { name: "detections:read is enough", run: onlyRead },
  { name: "login, and the key in memory only", run: login },
  { name: "policy and caching", run: policy },
  { name: "axe finds no serious problem", run: accessible },
];
