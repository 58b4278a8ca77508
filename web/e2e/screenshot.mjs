// Takes the pictures of the README from a running stack.
//
//   WEATHERGLASS_URL      the dashboard, default http://localhost:8000
//   WEATHERGLASS_STATION  the station to open, default the first that has a forecast
//   OUT                   folder for the pictures, default ../docs
//   VIEWPORT              e.g. 1440x900; SCHEME light or dark
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

import { launch, setting, testid } from "./browser.mjs";

const url = setting("WEATHERGLASS_URL", "http://localhost:8000");
const out = process.env.OUT ?? fileURLToPath(new URL("../../docs", import.meta.url));
const [width, height] = setting("VIEWPORT", "1440x900").split("x").map(Number);
const colorScheme = setting("SCHEME", "light");

/** The map loads after the list and its coast after that; there is no event for "looks done". */
const SETTLE_MS = 6_000;

async function firstWithForecast() {
  const { features } = await (await fetch(`${url}/api/v1/stations`)).json();
  for (const { id } of features) {
    const answer = await fetch(`${url}/api/v1/stations/${encodeURIComponent(id)}/forecast`);
    if (answer.ok) return id;
  }
  throw new Error(`no station at ${url} has a forecast yet`);
}

const station = process.env.WEATHERGLASS_STATION ?? (await firstWithForecast());
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: 1 });
  const take = async (name, fullPage = false) => {
    const path = join(out, name);
    await page.screenshot({ path, fullPage });
    console.log(path);
  };
  await mkdir(out, { recursive: true });

  await page.goto(url);
  await page.locator(`${testid("network-view")} canvas`).waitFor();
  await page.waitForTimeout(SETTLE_MS);
  await take("screenshot-network.png");

  await page.goto(`${url}/station/${encodeURIComponent(station)}`);
  await page.locator(`${testid("chart-temperature")}[data-forecast-reference] canvas`).waitFor();
  await page.waitForTimeout(1_000);
  await take("screenshot-station.png", true);
} finally {
  await browser.close();
}
