import { describe, expect, it } from "vitest";

import {
  forecast as sampleForecast,
  observation as sampleObservation,
  station as sampleStation,
} from "../api/sample";
import type { Forecast, Observation, ServerFrame, SnapshotFrame, Station } from "../api/types";
import {
  applyFrames,
  applyStations,
  changeRecord,
  HISTORY_MS,
  insertObservation,
  mergeForecast,
  mergeHistory,
  mergeLatest,
  type Network,
  observedIn,
} from "./merge";

const at = (hour: number) => new Date(Date.UTC(2026, 10, 20) + hour * 3_600_000).toISOString();
const cursor = "c1-1";
const observation = (hour: number, temperature = hour) => sampleObservation(at(hour), { temperature });
const forecast = (hour: number, more: Partial<Forecast> = {}) => sampleForecast(at(hour), more);
const empty: Network = new Map();
const frame = (o: Observation): ServerFrame => ({ type: "observation", ...o, cursor });
const about = (details: Station): ServerFrame => ({
  type: "station",
  station: details.id,
  state: details.state,
  details,
  cursor,
});

describe("insertObservation", () => {
  it("appends the newest and puts a late one into its place", () => {
    const history = [1, 3].map((hour) => observation(hour));
    expect(insertObservation(history, observation(4)).map((o) => o.temperature)).toEqual([1, 3, 4]);
    expect(insertObservation(history, observation(2)).map((o) => o.temperature)).toEqual([1, 2, 3]);
    expect(insertObservation(history, observation(0)).map((o) => o.temperature)).toEqual([0, 1, 3]);
  });
  it("replaces the same instant by its correction", () => {
    const history = [observation(1), observation(2), observation(3)];
    const corrected = insertObservation(history, observation(2, 20));
    expect(corrected.map((o) => o.temperature)).toEqual([1, 20, 3]);
  });
  it("tells instants apart by time and not by spelling", () => {
    const history = [observation(1)];
    const same = insertObservation(history, { ...observation(1, 9), time: "2026-11-20T02:00:00+01:00" });
    expect(same).toHaveLength(1);
    expect(same[0]?.temperature).toBe(9);
  });
  it("keeps 96 hours", () => {
    let history: readonly Observation[] = [];
    for (let hour = 0; hour <= 120; hour += 1) history = insertObservation(history, observation(hour));
    expect(history).toHaveLength(HISTORY_MS / 3_600_000 + 1);
    expect(history[0]?.time).toBe(at(24));
  });
  it("refuses a time that is none", () => {
    const history = [observation(1)];
    expect(insertObservation(history, { ...observation(2), time: "soon" })).toBe(history);
  });
  it("does not change the array it was given", () => {
    const history = Object.freeze([observation(1)]);
    expect(() => insertObservation(history, observation(0))).not.toThrow();
  });
});

describe("mergeLatest", () => {
  it("keeps the newest whichever way they come", () => {
    expect(mergeLatest(observation(2), observation(1))?.temperature).toBe(2);
    expect(mergeLatest(observation(1), observation(2))?.temperature).toBe(2);
    expect(mergeLatest(null, observation(2))?.temperature).toBe(2);
    expect(mergeLatest(observation(2), null)?.temperature).toBe(2);
  });
  it("takes a correction of the newest", () => {
    expect(mergeLatest(observation(2), observation(2, 7))?.temperature).toBe(7);
  });
});

describe("mergeHistory", () => {
  it("joins what was read with what came live meanwhile, in order", () => {
    const joined = mergeHistory([observation(3, 30)], [2, 1, 3].map((hour) => observation(hour)));
    expect(joined.map((o) => o.temperature)).toEqual([1, 2, 30]);
  });
});

describe("mergeForecast", () => {
  it("never goes back in reference time, cause or issue", () => {
    const held = forecast(5, { cause: "1000-9" });
    expect(mergeForecast(held, forecast(4, { cause: "2000-0" }))).toBe(held);
    expect(mergeForecast(held, forecast(5, { cause: "999-0", issue_time: at(9) }))).toBe(held);
    expect(mergeForecast(held, forecast(5, { cause: "?", issue_time: at(9) }))).toBe(held);
    expect(mergeForecast(held, forecast(5, { cause: "1000-9", issue_time: at(4) }))).toBe(held);
    // By a worker whose clock is behind.
    const reissued = forecast(5, { cause: "1000-10", issue_time: at(1) });
    expect(mergeForecast(held, reissued)).toBe(reissued);
    const next = forecast(6);
    expect(mergeForecast(held, next)).toBe(next);
    expect(mergeForecast(held, null)).toBe(held);
  });
});

describe("applyFrames", () => {
  const snapshot: SnapshotFrame = {
    type: "snapshot",
    id: "a",
    stations: [
      { station: sampleStation("X1"), observation: observation(1), forecast: null },
      { station: sampleStation("X2", { state: "silent" }), observation: null, forecast: null },
    ],
    cursor,
  };

  it("takes a snapshot", () => {
    const network = applyFrames(empty, [snapshot]);
    expect([...network.keys()]).toEqual(["X1", "X2"]);
    expect(network.get("X1")).toMatchObject({ state: "up", latest: { temperature: 1 } });
    expect(network.get("X2")?.latest).toBeNull();
  });
  it("does not lose a forecast to a snapshot that carries none", () => {
    const held = applyFrames(empty, [snapshot, { type: "forecast", ...forecast(1), cursor }]);
    expect(applyFrames(held, [snapshot]).get("X1")?.forecast).not.toBeNull();
  });
  it("forgets what a station's new description no longer says", () => {
    const known = applyStations(empty, [sampleStation("X1", { timezone: "Asia/Tokyo" })]);
    const network = applyFrames(known, [about(sampleStation("X1", { name: "One" }))]);
    expect(network.get("X1")?.station).toEqual(sampleStation("X1", { name: "One" }));
  });
  it("makes room for a station it never heard of", () => {
    const network = applyFrames(empty, [frame(observation(1))]);
    expect(network.get("X1")?.latest?.temperature).toBe(1);
  });
  it("takes all frames of an instant, and tells which stations were heard", () => {
    const frames = [frame(observation(2)), about(sampleStation("X1", { state: "stale" })), snapshot];
    expect(applyFrames(empty, frames.slice(0, 2)).get("X1")).toMatchObject({
      state: "stale",
      latest: { temperature: 2 },
    });
    expect(observedIn(frames)).toEqual(["X1"]);
  });
  it("changes a station's state and details", () => {
    const network = applyFrames(empty, [
      snapshot,
      about(sampleStation("X1", { name: "Uno", state: "down" })),
    ]);
    expect(network.get("X1")).toMatchObject({ state: "down", station: { name: "Uno" } });
  });
  it("drops a station that was removed, and shows it again when it is back", () => {
    const held = applyFrames(empty, [snapshot]);
    const removed: ServerFrame = { type: "station", station: "X1", state: "removed", cursor };
    expect([...applyFrames(held, [removed]).keys()]).toEqual(["X2"]);
    expect(applyFrames(empty, [removed])).toBe(empty);
    expect(applyFrames(held, [removed, about(sampleStation("X1"))]).has("X1")).toBe(true);
  });
  it("drops what a snapshot leaves out of what it is about", () => {
    const others = ["X1", "X2", "X3"].map((id) => sampleStation(id));
    const held = changeRecord(applyStations(empty, others), "X4", (record) => record);
    const covers = (subscription: string, station: string) => subscription === "a" && station !== "X3";
    expect([...applyFrames(held, [{ ...snapshot, stations: [] }], covers).keys()]).toEqual(["X3", "X4"]);
    expect(applyFrames(held, [{ ...snapshot, id: "b", stations: [] }], covers)).toBe(held);
  });
  it("gathers history only where it was opened", () => {
    const closed = applyFrames(empty, [frame(observation(1))]);
    expect(closed.get("X1")?.history).toBeNull();
    const opened = changeRecord(closed, "X1", (record) => ({ ...record, history: [] }));
    expect(applyFrames(opened, [frame(observation(2))]).get("X1")?.history).toHaveLength(1);
  });
  it("returns the same map when nothing changed, so nothing redraws", () => {
    const network = applyFrames(empty, [frame(observation(2))]);
    expect(applyFrames(network, [frame(observation(1)), { type: "pong" }])).toBe(network);
  });
  it("leaves the map it was given alone", () => {
    const before = applyFrames(empty, [snapshot]);
    applyFrames(before, [frame(observation(9))]);
    expect(before.get("X1")?.latest?.temperature).toBe(1);
  });
});
