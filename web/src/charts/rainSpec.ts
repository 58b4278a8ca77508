import type uPlot from "uplot";

import { formatNumber, formatPercent } from "../weather/format";
import { align, type Column } from "./fan";
import { alpha } from "./fanSpec";
import { yAxis, type PlotSpec } from "./plot";
import type { RainForecastHour, RainHour } from "./rain";
import { cssColour, FONT } from "./theme";

const HOUR_S = 3600;
/** The axis never shows less than this, so that a trace of drizzle looks like one. */
const LEAST_MM = 2;
const FADED = 0.35;

interface Rain {
  observed: readonly RainHour[];
  forecast: readonly RainForecastHour[];
  expired: boolean;
}

/** Only for the scales and the cursor: the bars are drawn by hand. */
export function rainData(
  observed: readonly RainHour[],
  forecast: readonly RainForecastHour[],
): [number[], ...Column[]] {
  return align([
    observed.map(({ at, amount }) => ({ at, value: amount })),
    forecast.map(({ at, upper, median }) => ({ at, value: upper ?? median ?? null })),
    forecast.map(({ at, probability }) => ({ at, value: probability ?? null })),
  ]);
}

export function rainSpec(rain: () => Rain): PlotSpec {
  const hidden: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
  return {
    scales: {
      y: { range: (_u, _low, high) => [0, Math.max(LEAST_MM, (high ?? 0) * 1.15)] },
      chance: { range: () => [0, 1] },
    },
    axes: [
      yAxis({ values: (_u, splits) => splits.map((v) => formatNumber(v, v % 1 ? 1 : 0)) }),
    ],
    series: [hidden, hidden, { ...hidden, scale: "chance" }],
    under: (u) => drawRain(u, rain()),
    over: drawChances,
  };
}

/**
 * The scale of the probabilities stands inside the plot: an axis beside it would push this
 * chart's "now" out of line with the others'.
 */
function drawChances(u: uPlot): void {
  const { ctx, bbox } = u;
  const scale = window.devicePixelRatio || 1;
  ctx.save();
  ctx.fillStyle = cssColour("ink-2");
  ctx.font = `${11 * scale}px ${FONT}`;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  for (const share of [0.5, 1]) {
    const y = u.valToPos(share, "chance", true);
    ctx.fillText(formatPercent(share), bbox.left + bbox.width - 4 * scale, y - 2 * scale);
  }
  ctx.restore();
}

interface Bar {
  at: number;
  value: number;
  scale: string;
  colour: string;
  inset: number;
}

function drawBar(u: uPlot, { at, value, scale, colour, inset }: Bar): void {
  if (value <= 0) return;
  const left = u.valToPos(at - HOUR_S, "x", true) + inset;
  const width = u.valToPos(at, "x", true) - inset - left;
  const top = u.valToPos(value, scale, true);
  u.ctx.fillStyle = colour;
  // At least a hair high: 0.1 mm is rain too.
  const height = Math.max(1.5, u.valToPos(0, scale, true) - top);
  u.ctx.fillRect(left, u.valToPos(0, scale, true) - height, Math.max(1, width), height);
}

function drawRain(u: uPlot, { observed, forecast, expired }: Rain): void {
  const colour = cssColour("rain");
  const shown = expired ? FADED : 1;
  const inset = Math.max(0.5, (window.devicePixelRatio || 1) * 0.75);
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  u.ctx.clip();
  for (const { at, probability = 0 } of forecast) {
    drawBar(u, { at, value: probability, scale: "chance", colour: alpha(colour, 0.16 * shown), inset: 0 });
  }
  for (const { at, upper = 0 } of forecast) {
    drawBar(u, { at, value: upper, scale: "y", colour: alpha(colour, 0.38 * shown), inset });
  }
  for (const { at, median = 0 } of forecast) {
    drawBar(u, { at, value: median, scale: "y", colour: alpha(colour, shown), inset });
  }
  for (const { at, amount } of observed) {
    drawBar(u, { at, value: amount, scale: "y", colour, inset });
  }
  u.ctx.restore();
}
