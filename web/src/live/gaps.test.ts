import { describe, expect, it } from "vitest";

import { observation } from "../api/sample";
import type { ServerFrame } from "../api/types";
import { leavesGap } from "./gaps";

const snapshot = (id: string): ServerFrame => ({ type: "snapshot", id, stations: [], cursor: "c1-1" });

describe("leavesGap", () => {
  it("takes the first snapshot of a subscription for its beginning", () => {
    const begun = new Set<string>();
    expect(leavesGap(snapshot("a"), begun)).toBe(false);
    expect(leavesGap(snapshot("b"), begun)).toBe(false);
    expect(leavesGap(snapshot("a"), begun)).toBe(true);
  });
  it("believes a server that says what it could not recover", () => {
    expect(leavesGap({ type: "recovered", id: "a", complete: false }, new Set())).toBe(true);
    expect(leavesGap({ type: "recovered", id: "a", complete: true }, new Set())).toBe(false);
  });
  it("sees no gap in a plain update", () => {
    const update = { type: "observation", ...observation("2026-11-20T00:00:00Z"), cursor: "c1-1" } as const;
    expect(leavesGap(update, new Set())).toBe(false);
  });
});
