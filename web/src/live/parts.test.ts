import { describe, expect, it } from "vitest";

import { station } from "../api/sample";
import type { ServerFrame } from "../api/types";
import { leavesGap } from "./gaps";
import { SnapshotParts } from "./parts";

const entry = (id: string) => ({ station: station(id), observation: null, forecast: null });
const part = (id: string, ...names: string[]): ServerFrame => ({
  type: "snapshot",
  id,
  stations: names.map(entry),
  more: true,
});
const last = (id: string, ...names: string[]): ServerFrame => ({
  type: "snapshot",
  id,
  stations: names.map(entry),
  cursor: "c1-1",
});

describe("SnapshotParts", () => {
  it("joins the parts of a snapshot, and those of others apart", () => {
    const parts = new SnapshotParts();
    expect(parts.join(part("a", "A"))).toBeNull();
    expect(parts.join(part("b", "X"))).toBeNull();
    expect(parts.join(part("a", "B"))).toBeNull();
    expect(parts.join(last("a", "C"))).toEqual(last("a", "A", "B", "C"));
    expect(parts.join(last("b", "Y"))).toEqual(last("b", "X", "Y"));
  });
  it("lets through what is whole", () => {
    const parts = new SnapshotParts();
    const frames: ServerFrame[] = [last("a", "A"), { type: "pong" }];
    expect(frames.map((frame) => parts.join(frame))).toEqual(frames);
  });
  it("forgets half a snapshot with its socket", () => {
    const parts = new SnapshotParts();
    parts.join(part("a", "A"));
    parts.clear();
    expect(parts.join(last("a", "B"))).toEqual(last("a", "B"));
  });
  it("is one beginning and no gap, however many parts", () => {
    const parts = new SnapshotParts();
    const begun = new Set<string>();
    const gaps = (frames: ServerFrame[]) =>
      frames.flatMap((frame) => parts.join(frame) ?? []).filter((frame) => leavesGap(frame, begun));
    expect(gaps([part("a", "A"), part("a", "B"), last("a", "C")])).toHaveLength(0);
    expect(gaps([part("a", "A"), part("a", "B"), last("a", "C")])).toHaveLength(1);
  });
});
