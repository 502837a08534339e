// The pictures of README and docs/console.md: of the real packets that ./run replays, and a few detections around them.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, closeChecked, detection, everything, openConsole, root, row, sleep } from "./support.mjs";

async function pictures({ browser, service, options }) {
  const folder = options.pictures;
  mkdirSync(folder, { recursive: true });
  const token = join(service.folder, "token");
  writeFileSync(token, service.token(everything));
  for (const name of ["day", "night", "truck_72"]) {
    const accuracy = ["--accuracy", "heading_deg=0.3,pitch_deg=0.2"];
    const packets = join(root, `tests/data/klv/${name}.klv`);
    const made = spawnSync(service.binary, [
      "ingest-klv",
      packets,
      "--url",
      service.url,
      "--token-file",
      token,
      "--source",
      name,
      "--time",
      "now",
      ...accuracy,
    ]);
    assert(made.status === 0, String(made.stderr));
  }
  const around = [
    ["truck", 0.92, 0.0002, -0.0024, 30],
    ["person", 0.71, 0.001, 0.0016, 200],
    ["vehicle", 0.55, -0.0012, 0.0018, 310],
    ["tank", 0.3, 0.0016, -0.0022, 120],
    ["drone", 0.88, -0.0018, -0.002, 75],
    ["vehicle", 0.95, -0.0004, -0.003, 255],
    ["person", 0.35, -0.0014, 0.0006, 10],
  ];
  let held = "";
  for (const [object_class, ai_confidence, north, east, heading] of around) {
    const pose = {
      location_lat: 41.1049 + north,
      location_lon: -104.8509 + east,
      heading,
      location_elevation: 260,
      pitch: -42,
    };
    const made = await service.post(
      detection({ object_class, ai_confidence, source: "mast-2", camera_id: "ir-1" }, pose),
    );
    if (object_class === "tank") held = made.detection_id;
  }
  await sleep(6_000); // no ring of what is new on any of them
  const shoot = async (name, options, prepare) => {
    const context = await browser.context(service, options);
    const page = await openConsole(context, service, { query: "?view=41.1049,-104.8507,17.2" });
    await page.waitForSelector(".row");
    await prepare(page);
    await sleep(1_200);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await closeChecked(context);
  };
  await shoot("night", {}, async () => undefined);
  await shoot("day", { colorScheme: "light" }, async (page) => {
    await page.keyboard.press("o");
    await page.waitForSelector(".sink");
  });
  await shoot("detection", {}, async (page) => {
    await page.locator(row(held)).click();
    await page.waitForSelector(".timeline li");
  });
  await shoot("phone", { viewport: { width: 390, height: 800 }, colorScheme: "light" }, async () => undefined);
  return folder;
}

export const tests = [{ name: "pictures", run: pictures }];
