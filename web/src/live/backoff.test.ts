import { describe, expect, it } from "vitest";

import { backoffDelay } from "./backoff";

describe("backoffDelay", () => {
  it("doubles from half a second", () => {
    const longest = [0, 1, 2, 3].map((attempt) => backoffDelay(attempt, () => 1));
    expect(longest).toEqual([500, 1000, 2000, 4000]);
  });
  it("never waits longer than half a minute, however long the outage", () => {
    expect(backoffDelay(50, () => 1)).toBe(30_000);
    expect(backoffDelay(5_000, () => 1)).toBe(30_000);
  });
  it("spreads clients over the upper half of the wait", () => {
    expect(backoffDelay(3, () => 0)).toBe(2000);
    expect(backoffDelay(3, () => 0.5)).toBe(3000);
  });
});
