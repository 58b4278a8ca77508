import { describe, expect, it } from "vitest";

import { observation } from "../api/sample";
import { colourScale } from "../charts/scale";
import type { StationRecord } from "../live/merge";
import { boundsOf, markers, positionOf } from "./features";

const now = Date.parse("2026-11-20T12:00:00Z");
const record = (id: string, more: Partial<StationRecord> = {}): StationRecord => ({
  station: { id, name: id, longitude: 10, latitude: 47 },
  state: "up",
  latest: observation("2026-11-20T11:59:00Z", { station: id, temperature: 12.6 }),
  forecast: null,
  history: null,
  ...more,
});
const scale = colourScale("temperature", [0, 30]);
const properties = (records: StationRecord[]) =>
  markers(records, scale, now).features.map((feature) => feature.properties);

describe("markers", () => {
  it("colours current values", () => {
    expect(properties([record("A")])[0]).toMatchObject({ live: true, label: "13" });
  });
  it("takes the colour from stale, down and mute stations", () => {
    const quiet = [
      record("B", { state: "down" }),
      record("C", { latest: observation("2026-11-19T00:00:00Z", { station: "C", temperature: 1 }) }),
      record("D", { latest: observation("2026-11-20T11:59:00Z", { station: "D", wind_speed: 1 }) }),
    ];
    expect(properties(quiet).map(({ live, label }) => [live, label])).toEqual(
      [[false, ""], [false, ""], [false, ""]],
    );
  });
  it("leaves out stations without a possible position", () => {
    expect(properties([record("E", { station: { id: "E" } })])).toEqual([]);
    const impossible = { id: "F", longitude: 10, latitude: 470 };
    expect(positionOf(record("F", { station: impossible }))).toBeNull();
  });
});

describe("boundsOf", () => {
  it("encloses all markers", () => {
    const south = record("S", { station: { id: "S", longitude: -5, latitude: -20 } });
    expect(boundsOf(markers([record("A"), south], scale, now))).toEqual([-5, -20, 10, 47]);
    expect(boundsOf(markers([], scale, now))).toBeNull();
  });
});
