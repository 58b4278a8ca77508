import type uPlot from "uplot";

import { t } from "../messages/t";
import { dayName, isLocalMidnight, localTicks } from "../time/zone";
import { cssColour, FONT } from "./theme";

/** What every chart of a station has in common; read anew at each draw. */
export interface PlotFrame {
  /** Seconds since 1970: left and right edge, and now. */
  from: number;
  to: number;
  now: number;
  zone: string;
}

export const AXIS_FONT = `12px ${FONT}`;
const SYNC_KEY = "station";
const NARROW_PX = 520;

const ratio = (): number => window.devicePixelRatio || 1;

function xAxis(frame: () => PlotFrame): uPlot.Axis {
  return {
    stroke: cssColour("ink-2"),
    font: AXIS_FONT,
    grid: { show: false },
    ticks: { show: true, stroke: cssColour("line"), width: 1, size: 5 },
    gap: 4,
    size: 30,
    splits: (u) => {
      const { from, to, zone } = frame();
      const step = u.width < NARROW_PX ? 12 : 6;
      return localTicks(from * 1000, to * 1000, zone, step).map((at) => at / 1000);
    },
    values: (u, splits) => splits.map((at) => tickLabel(at * 1000, frame().zone, u.width)),
  };
}

function tickLabel(at: number, zone: string, width: number): string {
  if (isLocalMidnight(at, zone)) {
    const [weekday = "", day = ""] = dayName(at, zone).split(/,?\s/);
    return `${weekday} ${day}`;
  }
  // On a phone the days alone are enough; the readout tells the hour.
  if (width < NARROW_PX) return "";
  return new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    hourCycle: "h23",
    timeZone: zone,
  }).format(at);
}

export function yAxis(options: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: cssColour("ink-2"),
    font: AXIS_FONT,
    grid: { stroke: cssColour("grid"), width: 1 },
    ticks: { show: false },
    gap: 6,
    size: 44,
    space: 34,
    ...options,
  };
}

/** Day boundaries behind everything: the eye needs them more than it needs hours. */
function drawDays(u: uPlot, { from, to, zone }: PlotFrame): void {
  const { ctx, bbox } = u;
  ctx.save();
  // uPlot leaves the dash pattern of the last series behind.
  ctx.setLineDash([]);
  ctx.strokeStyle = cssColour("line");
  ctx.lineWidth = ratio();
  for (const tick of localTicks(from * 1000, to * 1000, zone, 24)) {
    const x = Math.round(u.valToPos(tick / 1000, "x", true));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function drawNow(u: uPlot, { now }: PlotFrame): void {
  const { ctx, bbox } = u;
  const x = Math.round(u.valToPos(now, "x", true));
  const scale = ratio();
  ctx.save();
  ctx.setLineDash([]);
  ctx.strokeStyle = cssColour("accent");
  ctx.lineWidth = 1.5 * scale;
  ctx.beginPath();
  ctx.moveTo(x, bbox.top - 4 * scale);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.fillStyle = cssColour("accent");
  ctx.font = `600 ${11 * scale}px ${FONT}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "bottom";
  ctx.fillText(t("chart.now"), x, bbox.top - 5 * scale);
  ctx.restore();
}

export interface PlotSpec {
  scales: uPlot.Scales;
  axes: uPlot.Axis[];
  series: uPlot.Series[];
  bands?: uPlot.Band[];
  /** Drawn over the grid and under the lines. */
  under?: (u: uPlot) => void;
  /** Drawn over the lines. */
  over?: (u: uPlot) => void;
}

export function plotOptions(
  spec: PlotSpec,
  frame: () => PlotFrame,
  size: { width: number; height: number },
  onRead: (at: number | null) => void,
): uPlot.Options {
  return {
    ...size,
    padding: [20, 10, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { show: false },
      sync: { key: SYNC_KEY, setSeries: false, scales: ["x", null] },
    },
    scales: {
      x: { time: false, range: () => [frame().from, frame().to] },
      ...spec.scales,
    },
    axes: [xAxis(frame), ...spec.axes],
    series: [{}, ...spec.series],
    bands: spec.bands,
    hooks: {
      drawClear: [(u) => drawDays(u, frame())],
      drawAxes: [(u) => spec.under?.(u)],
      draw: [(u) => spec.over?.(u), (u) => drawNow(u, frame())],
      setCursor: [
        (u) => {
          const left = u.cursor.left ?? -1;
          onRead(left < 0 ? null : u.posToVal(left, "x"));
        },
      ],
    },
  };
}
