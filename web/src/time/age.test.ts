import { describe, expect, it } from "vitest";

import { ageOf, hasExpired, shownState } from "./age";

const now = Date.parse("2026-11-23T12:00:00Z");
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();

describe("ageOf", () => {
  it("counts in the largest whole unit", () => {
    expect(ageOf(ago(0), now)).toEqual({ value: 0, unit: "second" });
    expect(ageOf(ago(59.9), now)).toEqual({ value: 59, unit: "second" });
    expect(ageOf(ago(60), now)).toEqual({ value: 1, unit: "minute" });
    expect(ageOf(ago(3599), now)).toEqual({ value: 59, unit: "minute" });
    expect(ageOf(ago(3600), now)).toEqual({ value: 1, unit: "hour" });
    expect(ageOf(ago(47 * 3600), now)).toEqual({ value: 47, unit: "hour" });
    expect(ageOf(ago(48 * 3600), now)).toEqual({ value: 2, unit: "day" });
  });
  it("is never negative: the server's clock may be ahead of ours", () => {
    expect(ageOf(ago(-90), now)).toEqual({ value: 0, unit: "second" });
  });
});

describe("hasExpired", () => {
  it("goes by what the server says, and at once when that cannot be read", () => {
    expect(hasExpired({ expires: ago(-1) }, now)).toBe(false);
    expect(hasExpired({ expires: ago(0) }, now)).toBe(true);
    expect(hasExpired({ expires: "later" }, now)).toBe(true);
  });
});

describe("shownState", () => {
  const fresh = { expires: ago(-30) };
  const old = { expires: ago(86_400) };
  it("believes bad news from the server", () => {
    expect(shownState("down", fresh, now)).toBe("down");
    expect(shownState("stale", fresh, now)).toBe("stale");
  });
  it("does not believe good news about an old value", () => {
    expect(shownState("up", old, now)).toBe("stale");
    expect(shownState("up", fresh, now)).toBe("up");
  });
  it("is silent without a value", () => {
    expect(shownState("up", null, now)).toBe("silent");
    expect(shownState(undefined, null, now)).toBe("silent");
    expect(shownState("silent", fresh, now)).toBe("up");
  });
});
