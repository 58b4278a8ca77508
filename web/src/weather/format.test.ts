import { describe, expect, it } from "vitest";

import { observation } from "../api/sample";
import { formatAge, formatNumber, formatPercent, formatValue, reading, withUnit } from "./format";
import { arrowTurn, compassPoint } from "./wind";

describe("numbers", () => {
  it("has a true minus and no minus zero", () => {
    expect(formatNumber(-3.14, 1)).toBe("\u22123.1");
    expect(formatNumber(-0.04, 1)).toBe("0.0");
  });
  it("shows a dash for what is not there", () => {
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(formatNumber(value, 1)).toBe("–");
    }
  });
  it("does not group the digits of a pressure", () => {
    expect(formatValue("pressure_msl", 1013.25)).toBe("1013.3");
  });
  it("gives each variable its decimals and unit", () => {
    expect(withUnit("temperature", 12.34)).toBe("12.3\u202f°C");
    expect(withUnit("wind_direction", 270)).toBe("270°");
    expect(withUnit("visibility", 12_500)).toBe("12.5\u202fkm");
    expect(withUnit("temperature", null)).toBe("–");
    expect(formatPercent(0.256)).toBe("26\u202f%");
    expect(formatPercent(null)).toBe("–");
  });
  it("spells ages", () => {
    expect(formatAge({ value: 3, unit: "minute" })).toBe("3 min ago");
  });
});

describe("reading", () => {
  it("has one kind of nothing", () => {
    const seen = observation("2026-11-20T00:00:00Z", { temperature: Number.NaN, wind_speed: 0 });
    expect(reading(seen, "temperature")).toBeNull();
    expect(reading(seen, "dew_point")).toBeNull();
    expect(reading(seen, "wind_speed")).toBe(0);
    expect(reading(null, "wind_speed")).toBeNull();
  });
});

describe("wind", () => {
  it("names the nearest of eight points, round the clock", () => {
    expect([0, 22, 23, 90, 200, 337, 338, 360, 405, -45].map(compassPoint)).toEqual([
      "N", "N", "NE", "E", "S", "NW", "N", "N", "NE", "NW",
    ]); // prettier-ignore
  });
  it("flies where the wind goes", () => {
    expect(arrowTurn(0)).toBe(180);
    expect(arrowTurn(270)).toBe(90);
  });
});
