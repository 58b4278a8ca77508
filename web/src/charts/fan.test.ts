import { describe, expect, it } from "vitest";

import { forecast as sampleForecast, observation } from "../api/sample";
import type { Observation } from "../api/types";
import { align, alignFan, FAN_COLUMNS, fanOf, forecastPoints, nearest, observedPoints, withGaps } from "./fan";

const BASE = Date.UTC(2026, 10, 20) / 1000;
const iso = (hour: number) => new Date((BASE + hour * 3600) * 1000).toISOString();
const seen = (hour: number, temperature: number, more: Partial<Observation> = {}): Observation =>
  observation(iso(hour), { temperature, ...more });
const temperature = {
  q05: [1, 2],
  q10: [2, 3],
  q25: [3, 4],
  q50: [5, 6],
  q75: [7, 8],
  q90: [8, 9],
  q95: [9, 10],
};
const forecast = sampleForecast(iso(2), {
  leads: [1, 2],
  variables: { temperature, wind_direction: { q50: [10] } },
});
const column = (aligned: ReturnType<typeof alignFan>, name: (typeof FAN_COLUMNS)[number]) =>
  aligned[1 + FAN_COLUMNS.indexOf(name)];

describe("observedPoints", () => {
  it("leaves out what is absent, not finite or failed its check", () => {
    const history = [
      seen(0, 1),
      seen(2, Number.NaN),
      seen(3, 9, { quality: { temperature: "fail" } }),
      seen(4, 4, { quality: { temperature: "suspect" } }),
      observation(iso(5), { wind_speed: 3 }),
    ];
    expect(observedPoints(history, "temperature").map((point) => point.value)).toEqual([1, 4]);
  });
  it("begins at the left edge", () => {
    expect(observedPoints([seen(0, 1), seen(2, 2)], "temperature", BASE + 3600)).toHaveLength(1);
  });
});

describe("forecastPoints", () => {
  it("places leads after the reference time", () => {
    const points = forecastPoints(forecast, "temperature");
    expect(points.map((point) => point.at)).toEqual([BASE + 3 * 3600, BASE + 4 * 3600]);
    expect(points[1]).toMatchObject({ q05: 2, q50: 6, q95: 10 });
  });
  it("is empty without a forecast, a variable, or a median", () => {
    expect(forecastPoints(null, "temperature")).toEqual([]);
    expect(forecastPoints(forecast, "dew_point")).toEqual([]);
    expect(forecastPoints(forecast, "wind_direction")).toHaveLength(1);
  });
});

describe("fanOf", () => {
  it("opens from the reading the forecast was made from", () => {
    const fan = fanOf([seen(1, 3), seen(2, 4.5)], forecast, "temperature");
    expect(fan.forecast).toHaveLength(3);
    expect(fan.forecast[0]).toMatchObject({ at: BASE + 7200, q05: 4.5, q50: 4.5, q95: 4.5 });
  });
  it("opens at the first lead when that reading lacks the variable", () => {
    expect(fanOf([seen(1, 3)], forecast, "temperature").forecast).toHaveLength(2);
  });
});

describe("align", () => {
  it("marks foreign times undefined and gaps null", () => {
    const aligned = align([
      [{ at: 1, value: 10 }, { at: 2, value: null }],
      [{ at: 3, value: 30 }, { at: 1, value: 11 }],
    ]);
    expect(aligned).toEqual([[1, 2, 3], [10, null, undefined], [11, undefined, 30]]);
  });
  it("gives empty columns for nothing", () => {
    expect(align([[], []])).toEqual([[], [], []]);
  });
});

describe("withGaps", () => {
  it("breaks the line in a long silence only", () => {
    const points = [0, 3, 7].map((hour) => ({ at: hour * 3600, value: hour }));
    expect(withGaps(points).map((point) => point.value)).toEqual([0, 3, null, 7]);
  });
});

describe("alignFan", () => {
  const aligned = alignFan(fanOf([seen(1, 3), seen(2, 4)], forecast, "temperature"));
  it("has every column on one time axis, in order", () => {
    expect(aligned).toHaveLength(1 + FAN_COLUMNS.length);
    expect(aligned[0]).toEqual([1, 2, 3, 4].map((hour) => BASE + hour * 3600));
  });
  it("keeps history and future apart", () => {
    expect(column(aligned, "observed")).toEqual([3, 4, undefined, undefined]);
    expect(column(aligned, "q50")).toEqual([undefined, 4, 5, 6]);
    expect(column(aligned, "q95")).toEqual([undefined, 4, 9, 10]);
  });
  it("adds an observed and a median line for each extra", () => {
    const extra = fanOf([seen(1, 1)], null, "temperature");
    const both = alignFan(fanOf([], forecast, "temperature"), [extra]);
    expect(both).toHaveLength(1 + FAN_COLUMNS.length + 2);
    expect(both[1 + FAN_COLUMNS.length]).toEqual([1, undefined, undefined]);
  });
});

describe("nearest", () => {
  it("finds the closest point within reach", () => {
    const points = [{ at: 0 }, { at: 100 }];
    expect(nearest(points, 60, 50)).toEqual({ at: 100 });
    expect(nearest(points, 200, 50)).toBeNull();
  });
});
