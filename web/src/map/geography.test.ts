import { describe, expect, it } from "vitest";

import { unrolled, unrolledRing } from "./geography";

describe("unrolled", () => {
  it("goes on past the 180th meridian instead of across the map", () => {
    expect(unrolled([[179, 60], [-179, 61], [-178, 62], [178, 63]])).toEqual([
      [179, 60], [181, 61], [182, 62], [178, 63],
    ]); // prettier-ignore
  });
  it("leaves other lines alone", () => {
    expect(unrolled([[1, 2], [3, 4]])).toEqual([[1, 2], [3, 4]]);
  });
});

describe("unrolledRing", () => {
  it("closes a ring around the pole along the pole", () => {
    const ring = unrolledRing([[-170, -70], [-60, -72], [60, -71], [170, -70], [-170, -70]]);
    expect(ring.at(-1)).toEqual(ring[0]);
    expect(ring).toContainEqual([190, -90]);
    expect(ring).toContainEqual([-170, -90]);
  });
});
