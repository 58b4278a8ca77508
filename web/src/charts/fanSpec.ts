import type uPlot from "uplot";

import { formatNumber } from "../weather/format";
import { yAxis, type PlotSpec } from "./plot";
import { cssColour } from "./theme";

export interface FanStyle {
  hue: string;
  /** Colours of the extra lines, each an observed and a median one. */
  extras: readonly string[];
  span: number;
  floor?: number;
  /** Share of the height kept free above the highest value. */
  headroom: number;
  faded: () => boolean;
  over?: (u: uPlot) => void;
}

const OUTER_ALPHA = 0.16;
const INNER_ALPHA = 0.3;
const FADED = 0.35;

/** Mixed here because canvas has no custom properties. */
export function alpha(hex: string, share: number): string {
  const part = Math.round(Math.min(1, Math.max(0, share)) * 255);
  return hex + part.toString(16).padStart(2, "0");
}

/** At least `span` high, with room above, and never below a natural floor. */
export function valueRange(
  low: number | null,
  high: number | null,
  { span, floor, headroom }: Pick<FanStyle, "span" | "floor" | "headroom">,
): [number, number] {
  const min = low ?? floor ?? 0;
  const max = high ?? min;
  const spare = Math.max(0, span - (max - min)) / 2;
  const height = max - min + 2 * spare;
  const bottom = min - spare - height * 0.06;
  if (floor === undefined) return [bottom, max + spare + height * headroom];
  return [floor, Math.max(floor + span, max + height * headroom)];
}

export function fanSpec(style: FanStyle): PlotSpec {
  const colour = cssColour(style.hue);
  const shade = (hex: string, share = 1) => alpha(hex, share * (style.faded() ? FADED : 1));
  const edge: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
  const band = (upper: number, share: number): uPlot.Band => ({
    series: [upper, upper + 1],
    fill: () => shade(colour, share),
  });
  return {
    scales: {
      y: { range: (_u, low, high) => valueRange(low, high, style) },
    },
    axes: [yAxis({ values: (_u, splits) => axisLabels(splits) })],
    bands: [band(1, OUTER_ALPHA), band(3, INNER_ALPHA)],
    series: [edge, edge, edge, edge, medianLine(() => shade(colour)), observedLine(colour, 2)].concat(
      style.extras.flatMap((hue) => {
        const extra = cssColour(hue);
        return [observedLine(extra, 1.25), medianLine(() => shade(extra), 1.25)];
      }),
    ),
    over: style.over,
  };
}

function axisLabels(splits: number[]): string[] {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0));
  return splits.map((value) => formatNumber(value, step % 1 === 0 ? 0 : 1));
}

const medianLine = (stroke: () => string, width = 2): uPlot.Series => ({
  stroke,
  width,
  dash: [5, 4],
  points: { show: false },
});

/** A lone reading between two gaps has no line; the point keeps it visible. */
const observedLine = (stroke: string, width: number): uPlot.Series => ({
  stroke,
  width,
  points: { show: false },
});
