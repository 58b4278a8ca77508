import type { Variable } from "../api/types";

// "thermal" of cmocean (Thyng and others, MIT licence) and "batlow" of Fabio Crameri's scientific
// colour maps (MIT licence), sampled at thirteen places. Both are perceptually uniform and keep
// their order for colour-blind eyes; rainbow scales invent edges where the weather has none.
const COLD_TO_WARM = [
  "#042333", "#0c3060", "#2c3395", "#563b9c", "#744992", "#90558b", "#b15f82",
  "#d06970", "#eb7958", "#f99242", "#fbb23d", "#f5d748", "#e8fa5b",
]; // prettier-ignore
const LITTLE_TO_MUCH = [
  "#faccfa", "#fdbccb", "#fdac9c", "#f19d6b", "#d29343", "#ab8c2d", "#828231",
  "#5d7844", "#3c6d56", "#226061", "#144d62", "#0e375e", "#011959",
]; // prettier-ignore

/** The variables that stations can be coloured by, temperature first. */
export const COLOURED = [
  "temperature",
  "dew_point",
  "relative_humidity",
  "wind_speed",
  "wind_gust",
  "pressure_msl",
  "precipitation",
] as const satisfies readonly Variable[];
export type Coloured = (typeof COLOURED)[number];

interface Frame {
  stops: readonly string[];
  /** Bounds fall on multiples of this, so a legend has round ends and seldom changes. */
  step: number;
  /** A calm, even network must not be stretched into false contrast. */
  span: number;
  /** For quantities that have natural ends. */
  fixed?: readonly [number, number];
}

const FRAMES: Record<Coloured, Frame> = {
  temperature: { stops: COLD_TO_WARM, step: 5, span: 15 },
  dew_point: { stops: COLD_TO_WARM, step: 5, span: 15 },
  relative_humidity: { stops: LITTLE_TO_MUCH, step: 10, span: 40, fixed: [0, 100] },
  wind_speed: { stops: LITTLE_TO_MUCH, step: 5, span: 10 },
  wind_gust: { stops: LITTLE_TO_MUCH, step: 5, span: 15 },
  pressure_msl: { stops: LITTLE_TO_MUCH, step: 5, span: 15 },
  precipitation: { stops: LITTLE_TO_MUCH, step: 1, span: 4 },
};

export interface ColourScale {
  readonly variable: Coloured;
  readonly domain: readonly [number, number];
  readonly stops: readonly string[];
}

type Rgb = readonly [number, number, number];

export function parseHex(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

const toHex = (rgb: Rgb): string =>
  `#${rgb.map((channel) => Math.round(channel).toString(16).padStart(2, "0")).join("")}`;

/** The colour at `share` (0..1) of the way along the stops; outside it is clamped. */
export function mix(stops: readonly string[], share: number): string {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const from = parseHex(stops[Math.floor(at)] ?? "#808080");
  const to = parseHex(stops[Math.ceil(at)] ?? "#808080");
  const part = at - Math.floor(at);
  return toHex([0, 1, 2].map((i) => (from[i] ?? 0) + ((to[i] ?? 0) - (from[i] ?? 0)) * part) as never);
}

/**
 * Round bounds around nearly all of the values: the outermost fiftieth on either side is left
 * out, so that one broken sensor at 60 °C does not turn every other station the same blue.
 */
export function niceDomain(values: readonly number[], step: number, span: number): [number, number] {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return [0, Math.ceil(span / step) * step];
  const trim = Math.floor(sorted.length / 50);
  const low = sorted[trim] ?? 0;
  const high = sorted[sorted.length - 1 - trim] ?? low;
  const spare = Math.max(0, span - (high - low)) / 2;
  return [Math.floor((low - spare) / step) * step, Math.ceil((high + spare) / step) * step];
}

export function colourScale(variable: Coloured, values: readonly number[]): ColourScale {
  const { stops, step, span, fixed } = FRAMES[variable];
  const [low, high] = fixed ?? niceDomain(values, step, span);
  // Speeds and amounts cannot be negative, however the padding falls.
  const floor = variable.startsWith("wind") || variable === "precipitation" ? 0 : low;
  return { variable, stops, domain: [Math.max(low, floor), Math.max(high, floor + step)] };
}

export function colourOf(scale: ColourScale, value: number): string {
  const [low, high] = scale.domain;
  return mix(scale.stops, (value - low) / (high - low));
}

function luminance(hex: string): number {
  const [r, g, b] = parseHex(hex).map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Ink that can be read on `background`; black or white: one of the two always reaches AA. */
export function inkOn(background: string): string {
  return contrast(background, "#ffffff") >= contrast(background, "#000000") ? "#ffffff" : "#000000";
}
