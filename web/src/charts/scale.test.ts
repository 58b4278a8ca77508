import { describe, expect, it } from "vitest";

import { COLOURED, type Coloured, colourOf, colourScale, contrast, inkOn, mix, niceDomain, parseHex } from "./scale";

/** Lightness of OKLab, in which equal steps look equal. */
function lightness(hex: string): number {
  const [r, g, b] = parseHex(hex).map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
}

describe("niceDomain", () => {
  it("has round ends around the values", () => {
    expect(niceDomain([1, 22], 5, 15)).toEqual([0, 25]);
  });
  it("does not stretch an even network into false contrast", () => {
    const [low, high] = niceDomain([10, 10.2], 5, 15);
    expect(high - low).toBeGreaterThanOrEqual(15);
  });
  it("is not moved by one broken sensor among many", () => {
    const values = [...Array.from({ length: 99 }, (_, i) => 10 + (i % 10)), 60];
    expect(niceDomain(values, 5, 15)[1]).toBeLessThanOrEqual(25);
  });
  it("stands without any value", () => {
    expect(niceDomain([Number.NaN], 5, 15)).toEqual([0, 15]);
  });
});

describe("colourScale", () => {
  it("never shows negative speeds or amounts", () => {
    expect(colourScale("wind_speed", [0.2, 1]).domain[0]).toBe(0);
    expect(colourScale("precipitation", []).domain[0]).toBe(0);
  });
  it("shows humidity on its natural range", () => {
    expect(colourScale("relative_humidity", [50]).domain).toEqual([0, 100]);
  });
  it.each(COLOURED)("orders %s by lightness in one direction, for any eye", (variable: Coloured) => {
    const { stops } = colourScale(variable, []);
    const steps = stops.slice(1).map((stop, i) => lightness(stop) - lightness(stops[i]!));
    const direction = Math.sign(steps[0]!);
    expect(steps.every((step) => Math.sign(step) === direction)).toBe(true);
  });
  it("clamps what lies outside and mixes what lies between", () => {
    const scale = colourScale("temperature", [0, 30]);
    expect(colourOf(scale, -99)).toBe(scale.stops[0]);
    expect(colourOf(scale, 99)).toBe(scale.stops.at(-1));
    expect(mix(["#000000", "#ffffff"], 0.5)).toBe("#808080");
  });
});

describe("inkOn", () => {
  it("reaches AA on every colour of every scale", () => {
    for (const variable of COLOURED) {
      const { stops } = colourScale(variable, []);
      for (let share = 0; share <= 1; share += 0.01) {
        const background = mix(stops, share);
        expect(contrast(background, inkOn(background))).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
});
