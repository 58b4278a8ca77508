import { describe, expect, it } from "vitest";

import { clockTime, dayAndTime, isLocalMidnight, localTicks, validZone } from "./zone";

const ms = Date.parse;
const hours = (ticks: number[], zone: string) => ticks.map((tick) => clockTime(tick, zone));

describe("localTicks", () => {
  it("stands at whole local hours", () => {
    const ticks = localTicks(ms("2026-11-23T00:30:00Z"), ms("2026-11-23T23:30:00Z"), "Europe/Budapest", 6);
    expect(hours(ticks, "Europe/Budapest")).toEqual(["06:00", "12:00", "18:00", "00:00"]);
  });
  it("also where the zone is 45 minutes off", () => {
    const ticks = localTicks(ms("2026-11-23T00:00:00Z"), ms("2026-11-24T00:00:00Z"), "Asia/Kathmandu", 12);
    expect(hours(ticks, "Asia/Kathmandu")).toEqual(["12:00", "00:00"]);
  });
  it("has one midnight a day when clocks go back and forth", () => {
    for (const day of ["2026-10-24", "2026-03-28"]) {
      const from = ms(`${day}T12:00:00Z`);
      const ticks = localTicks(from, from + 48 * 3_600_000, "Europe/Budapest", 24);
      expect(hours(ticks, "Europe/Budapest")).toEqual(["00:00", "00:00"]);
      expect(ticks.every((tick) => isLocalMidnight(tick, "Europe/Budapest"))).toBe(true);
    }
  });
});

describe("zones", () => {
  it("writes times in the zone asked for", () => {
    expect(dayAndTime(ms("2026-11-23T20:30:00Z"), "Asia/Tokyo")).toBe("Tue 24 Nov, 05:30");
  });
  it("falls back to UTC for a zone nobody knows", () => {
    expect(validZone("Mars/Olympus")).toBe("UTC");
    expect(validZone("Asia/Tokyo")).toBe("Asia/Tokyo");
    expect(validZone(null)).not.toBe("");
  });
});
