import { describe, expect, it } from "vitest";

import { observation } from "../api/sample";
import type { StationRecord } from "../live/merge";
import { countStates, matching, type Sort, sorted } from "./rows";
import { visibleSlice } from "./windowing";

const record = (id: string, name?: string, temperature?: number, time?: string): StationRecord => ({
  station: { id, ...(name ? { name } : {}) },
  state: "up",
  latest: time ? observation(time, { station: id, temperature }) : null,
  forecast: null,
  history: null,
});
const all = [
  record("S10", "Zürich", 3, "2026-11-20T03:00:00Z"),
  record("S2", undefined, 9, "2026-11-20T01:00:00Z"),
  record("S3", "東京 観測所", undefined, "2026-11-20T02:00:00Z"),
  record("S4", "Altdorf"),
];
const ids = (records: StationRecord[]) => records.map(({ station }) => station.id);

describe("matching", () => {
  it("finds words in name or id, accents or not, in any script", () => {
    expect(ids(matching(all, "zurich"))).toEqual(["S10"]);
    expect(ids(matching(all, "10 ZÜR"))).toEqual(["S10"]);
    expect(ids(matching(all, "東京"))).toEqual(["S3"]);
    expect(ids(matching(all, "s2"))).toEqual(["S2"]);
    expect(matching(all, "  ")).toHaveLength(4);
    expect(matching(all, "(")).toEqual([]);
  });
});

describe("sorted", () => {
  const order = (sort: Sort) => ids(sorted(all, sort));
  it("sorts names naturally, warmest, freshest first, unknowns last", () => {
    expect(order("name")).toEqual(["S4", "S2", "S10", "S3"]);
    expect(order("temperature")).toEqual(["S2", "S10", "S4", "S3"]);
    expect(order("age")).toEqual(["S10", "S3", "S2", "S4"]);
  });
});

describe("countStates", () => {
  it("tells who reports", () => {
    expect(countStates(["up", "down", "silent", "up"])).toEqual({ up: 2, quiet: 2 });
  });
});

describe("visibleSlice", () => {
  it("draws small networks whole", () => {
    expect(visibleSlice(150, 60, 9_000, 900)).toEqual({ from: 0, to: 150 });
  });
  it("draws what is in view of a large one, and a little more", () => {
    const { from, to } = visibleSlice(10_000, 60, 60_000, 900);
    expect(from).toBe(988);
    expect(to).toBe(1027);
  });
  it("stays inside the list when scrolled past its end", () => {
    expect(visibleSlice(200, 60, 999_999, 900)).toEqual({ from: 200, to: 200 });
  });
});
