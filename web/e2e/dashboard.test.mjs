// The main job, seen from the outside: an observation posted over HTTP moves the page by itself.
//
//   WEATHERGLASS_URL         the dashboard, e.g. http://localhost:8000
//   WEATHERGLASS_INGEST_URL  the ingest door, e.g. http://localhost:8001
//   WEATHERGLASS_STATION     a station that has a forecast
//   WEATHERGLASS_KEY         bearer key for ingest, where it asks for one
//   CHROMIUM                 the browser, default /usr/bin/chromium
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, setting, testid } from "./browser.mjs";

const url = setting("WEATHERGLASS_URL", "http://localhost:8000");
const ingest = setting("WEATHERGLASS_INGEST_URL", "http://localhost:8001");
const station = setting("WEATHERGLASS_STATION");
const key = process.env.WEATHERGLASS_KEY;

const PATIENCE_MS = 20_000;

let browser;
let page;
const complaints = [];

before(async () => {
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
});
after(() => browser?.close());

async function post(observation) {
  const response = await fetch(`${ingest}/v1/observations`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
    body: JSON.stringify(observation),
  });
  assert.equal(response.status, 202, await response.text());
}

const attribute = (id, name) => page.locator(testid(id)).getAttribute(name);

/** Not one look but many: the page has to come to it by itself, and within the patience. */
async function becomes(read, wanted, what) {
  const deadline = Date.now() + PATIENCE_MS;
  let value;
  while (Date.now() < deadline) {
    value = await read();
    if (wanted(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what}: still ${JSON.stringify(value)}`);
}

test("the network view lists the stations and says it is live", async () => {
  await page.goto(url);
  await page.locator(testid(`station-row-${station}`)).waitFor();
  await becomes(() => page.locator(testid("connection-state")).textContent(), (text) => text === "live", "connection");
});

test("a station opens with its latest values, its chart and its forecast", async () => {
  await page.locator(testid(`station-row-${station}`)).click();
  await page.waitForURL(`**/station/${encodeURIComponent(station)}`);
  await page.locator(`${testid("chart-temperature")} canvas`).waitFor();
  await becomes(() => attribute("chart-temperature", "data-newest-observation"), Boolean, "newest point");
  await becomes(() => attribute("chart-temperature", "data-forecast-reference"), Boolean, "reference");
  assert.match(await page.locator(testid("latest-temperature-age")).textContent(), /\d+ (s|min|h|d)/);
});

test("an observation posted now moves value, chart and forecast without a reload", async () => {
  await page.evaluate(() => (window.sameDocument = true));
  const issued = await attribute("forecast-issue-time", "datetime");
  const referred = await attribute("forecast-reference-time", "datetime");
  const shown = Number(await attribute("chart-temperature", "data-newest-value"));
  // Near the last value, so that no quality check objects, yet unmistakable.
  const temperature = Math.round((shown + 0.37) * 100) / 100;
  const time = new Date(Math.floor(Date.now() / 1000) * 1000);

  await post({ station, time: time.toISOString(), temperature });

  await becomes(
    () => attribute("chart-temperature", "data-newest-value"),
    (value) => Number(value) === temperature,
    "newest value on the chart",
  );
  assert.equal(Date.parse(await attribute("chart-temperature", "data-newest-observation")), time.getTime());
  const text = await page.locator(testid("latest-temperature")).textContent();
  assert.equal(Number(text.replace("\u2212", "-")), Number(temperature.toFixed(1)) + 0);
  assert.equal(Date.parse(await attribute("observed-time", "datetime")), time.getTime());

  await becomes(() => attribute("forecast-issue-time", "datetime"), (value) => value !== issued, "issue time");
  const reference = await becomes(
    () => attribute("forecast-reference-time", "datetime"),
    (value) => value !== referred,
    "reference time",
  );
  assert.equal(Date.parse(reference), time.getTime());
  assert.equal(Date.parse(await attribute("chart-temperature", "data-forecast-reference")), time.getTime());
  assert.equal(await page.evaluate(() => window.sameDocument), true, "the page was reloaded");
});

test("an address that leads nowhere is told so", async () => {
  await page.goto(`${url}/no/such/page`);
  await page.getByRole("alert").waitFor();
});

test("the browser had nothing to complain about", () => {
  assert.deepEqual(complaints, []);
});
