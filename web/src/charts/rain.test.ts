import { describe, expect, it } from "vitest";

import { forecast as sampleForecast, observation, quantiles } from "../api/sample";
import type { Observation } from "../api/types";
import { hourlyRain, rainForecast } from "./rain";

const BASE = Date.UTC(2026, 10, 20) / 1000;
const fell = (minute: number, precipitation: number, period?: number): Observation =>
  observation(new Date((BASE + minute * 60) * 1000).toISOString(), {
    precipitation,
    precipitation_period: period,
  });
const bars = (history: Observation[]) =>
  hourlyRain(history).map(({ at, amount }) => [(at - BASE) / 3600, Number(amount.toFixed(3))]);
const total = (history: Observation[]) =>
  hourlyRain(history).reduce((sum, { amount }) => sum + amount, 0);

describe("hourlyRain", () => {
  it("takes an hour for granted", () => {
    expect(bars([fell(60, 1.5), fell(120, 0)])).toEqual([[1, 1.5], [2, 0]]);
  });
  it("adds up shorter periods within their hour", () => {
    expect(bars([10, 20, 30, 40, 50, 60].map((minute) => fell(minute, 0.2, 600)))).toEqual([[1, 1.2]]);
  });
  it("spreads longer periods over their hours", () => {
    expect(bars([fell(180, 6, 3 * 3600)])).toEqual([[1, 2], [2, 2], [3, 2]]);
  });
  it("divides a period that crosses the full hour", () => {
    expect(bars([fell(90, 4)])).toEqual([[1, 2], [2, 2]]);
  });
  it("counts a running hour reported every ten minutes once", () => {
    const running = [60, 70, 80, 90, 100, 110, 120].map((minute) => fell(minute, 3));
    expect(total(running)).toBeCloseTo(6);
  });
  it("leaves out nonsense and what failed its check", () => {
    const failed = { ...fell(60, 50), quality: { precipitation: "fail" as const } };
    expect(bars([failed, fell(120, -1), fell(180, Number.NaN)])).toEqual([]);
  });
});

describe("rainForecast", () => {
  const precipitation = quantiles((share) => (share === 0.5 ? [0, 0.4] : [0.1, 2]));
  // The lists are shorter than the leads: the third hour has nothing.
  const forecast = sampleForecast(new Date(BASE * 1000).toISOString(), {
    leads: [1, 2, 3],
    variables: { precipitation },
    precipitation_probability: [0.1, 1.2],
  });
  it("gives what each hour has, and keeps a chance between 0 and 1", () => {
    expect(rainForecast(forecast)).toEqual([
      { at: BASE + 3600, median: 0, upper: 0.1, probability: 0.1 },
      { at: BASE + 7200, median: 0.4, upper: 2, probability: 1 },
    ]);
  });
  it("is empty without a forecast", () => {
    expect(rainForecast(null)).toEqual([]);
  });
});
