import { describe, expect, it } from "vitest";

import { observation } from "../api/sample";
import { pressureTendency } from "./trend";

const at = (hour: number, pressure_msl?: number) =>
  observation(new Date(Date.UTC(2026, 10, 20) + hour * 3_600_000).toISOString(), { pressure_msl });

describe("pressureTendency", () => {
  it("compares with three hours ago", () => {
    expect(pressureTendency([at(0, 1010), at(1, 999), at(3, 1012)])).toEqual({ change: 2, trend: "rising" });
    expect(pressureTendency([at(0, 1010), at(3, 1008), at(4)])?.trend).toBe("falling");
    expect(pressureTendency([at(0, 1010), at(3, 1010.4)])?.trend).toBe("steady");
  });
  it("says nothing without a reading near three hours back", () => {
    expect(pressureTendency([])).toBeNull();
    expect(pressureTendency([at(0, 1010)])).toBeNull();
    expect(pressureTendency([at(0, 1010), at(5, 1012)])).toBeNull();
  });
});
