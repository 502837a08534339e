// Release and rejection as far as the TAK peer; the service killed and started again.

import { assert, closeChecked, detection, openConsole, row, sleep, until } from "./support.mjs";

async function release({ browser, peer, service }) {
  const made = await service.post(detection({ ai_confidence: 0.2, object_class: "tank" }));
  assert(made.flag === "RED" && made.delivery.state === "held", "it is RED and held");
  const uid = made.cot.uid;
  const context = await browser.context(service);
  const page = await openConsole(context, service);
  await page.getByRole("button", { name: /held/ }).click();
  await page.locator(row(made.detection_id)).click();
  await page.waitForSelector("text=The detector is not sure enough");
  assert(!peer.recorded().includes(uid), "it was sent before it was released");
  await page.getByLabel(/Note/).fill("seen on a second camera");
  const sent = performance.now();
  await page.getByRole("button", { name: /Release to TAK/ }).click();
  await until("the TAK peer has it", () => peer.recorded().includes(`uid="${uid}"`));
  const took = performance.now() - sent;
  const detail = page.locator(".detail");
  await detail.locator("text=Every TAK server that should have it has it").waitFor();
  await detail.locator("text=/Released by a person/").waitFor();
  await detail.locator("text=seen on a second camera").first().waitFor();
  await detail.locator("text=/Confirmed by TAK|Delivered to TAK/").first().waitFor();
  await detail.locator("summary").click();
  await detail.locator(".xml", { hasText: uid }).waitFor();
  // Taken back: TAK is sent a delete event.
  await page.getByRole("button", { name: /Take back and reject/ }).click();
  await until("a delete event", () =>
    peer
      .recorded()
      .split("</event>")
      .some((event) => event.includes(uid) && event.includes("t-x-d-d")),
  );
  await detail.locator("text=/Rejected by a person/").waitFor();
  await detail.locator("text=A person rejected it").waitFor();
  // And released once more, by the key.
  await page.locator(".map").focus();
  await page.keyboard.press("r");
  await detail.locator("text=/^Released/").first().waitFor();
  await closeChecked(context);
  return `${Math.round(took)} ms from the click to ${peer.name}`;
}

async function rejects({ browser, peer, service }) {
  const made = await service.post(detection({ ai_confidence: 0.2 }));
  const context = await browser.context(service);
  const page = await openConsole(context, service, { query: `?id=${made.detection_id}` });
  await page.getByRole("button", { name: /^Reject/ }).click();
  await page.locator(".detail", { hasText: "A person rejected it" }).waitFor();
  // What comes behind it is delivered, so it would have been.
  const after = await service.post(detection());
  await until("the next one is delivered", () => peer.recorded().includes(after.cot.uid));
  assert(!peer.recorded().includes(made.cot.uid), "a rejected one was sent");
  await closeChecked(context);
}

async function comesBack({ browser, service }) {
  const ids = new Set();
  const post = async (count) => {
    for (let i = 0; i < count; i++) ids.add((await service.post(detection({ source: `uav-${i % 7}` }))).detection_id);
  };
  await post(20);
  const context = await browser.context(service);
  context.watched.expected.push(
    /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/,
  );
  const page = await openConsole(context, service);
  await until("twenty", async () => (await page.locator("h1").textContent())?.startsWith("20 "));
  for (let round = 1; round <= 2; round++) {
    // In the first round not one event has come when it breaks: the feed goes on where it began all the same.
    if (round > 1) await post(5);
    await service.kill();
    await page.waitForSelector('[data-feed="broken"]');
    assert(/Not live/.test((await page.locator(".connection").textContent()) ?? ""), "it is said in words");
    await sleep(700);
    await service.again();
    // Before the page is back: only the resumed feed can bring these.
    await post(30);
    await page.getByText(/resumed, nothing was missed/).waitFor({ timeout: 15_000 });
    await post(5);
    await until(`all ${ids.size}`, async () => (await page.locator("h1").textContent())?.startsWith(`${ids.size} `));
  }
  // Every one of them once: through the whole list.
  const seen = await page.evaluate(async () => {
    const box = document.querySelector(".rows");
    const found = new Map();
    for (let top = 0; top <= box.scrollHeight; top += 200) {
      box.scrollTop = top;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      for (const one of document.querySelectorAll(".row")) {
        const places = found.get(one.dataset.id) ?? new Set();
        found.set(one.dataset.id, places.add(one.dataset.index));
      }
    }
    return [...found].map(([id, places]) => [id, places.size]);
  });
  assert(seen.length === ids.size, `${seen.length} of ${ids.size} are in the list`);
  assert(
    seen.every(([id, places]) => ids.has(id) && places === 1),
    "one is there twice",
  );
  await closeChecked(context);
  return `killed twice, ${ids.size} detections, each once`;
}

export const tests = [
  { name: "a released one reaches TAK, and is taken back", run: release },
  { name: "a rejected one does not reach TAK", run: rejects },
  { name: "the service is killed and comes back", run: comesBack },
];
