import type uPlot from "uplot";

import { arrowTurn } from "../weather/wind";
import type { Fan, ForecastPoint, ObservedPoint } from "./fan";
import { nearest } from "./fan";
import { cssColour } from "./theme";

export interface WindArrow {
  at: number;
  /** Degrees that the wind comes from. */
  from: number;
}

const REACH_S = 2700;

/** One arrow for each of the given instants that has a direction near it. */
export function arrowsAt(ticks: readonly number[], direction: Fan): WindArrow[] {
  return ticks.flatMap((at) => {
    const seen: ObservedPoint | null = nearest(direction.observed, at, REACH_S);
    const expected: ForecastPoint | null = nearest(direction.forecast, at, REACH_S);
    const from = seen?.value ?? expected?.q50;
    return from === undefined ? [] : [{ at, from }];
  });
}

const LENGTH_PX = 13;
const LEAST_SPACE_PX = 20;

/** A row of arrows along the top of the plot, thinned where they would touch. */
export function drawArrows(u: uPlot, arrows: readonly WindArrow[]): void {
  const { ctx, bbox } = u;
  const scale = window.devicePixelRatio || 1;
  let last = Number.NEGATIVE_INFINITY;
  ctx.save();
  ctx.setLineDash([]);
  ctx.strokeStyle = cssColour("ink-2");
  ctx.fillStyle = cssColour("ink-2");
  ctx.lineWidth = 1.5 * scale;
  for (const { at, from } of arrows) {
    const x = u.valToPos(at, "x", true);
    const inside = x > bbox.left + 8 * scale && x < bbox.left + bbox.width - 8 * scale;
    if (!inside || x - last < LEAST_SPACE_PX * scale) continue;
    last = x;
    drawArrow(ctx, x, bbox.top + 14 * scale, arrowTurn(from), LENGTH_PX * scale);
  }
  ctx.restore();
}

function drawArrow(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  degrees: number,
  length: number,
): void {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate((degrees * Math.PI) / 180);
  ctx.beginPath();
  ctx.moveTo(0, length / 2);
  ctx.lineTo(0, -length / 4);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(0, -length / 2);
  ctx.lineTo(length / 3.6, 0);
  ctx.lineTo(-length / 3.6, 0);
  ctx.fill();
  ctx.restore();
}
