import type {
  Forecast,
  ForecastVariable,
  Observation,
  Quantile,
  Quantiles,
  Variable,
} from "../api/types";

const HOUR_S = 3600;
/** Longer silences break the line: joining across them would draw weather nobody measured. */
export const GAP_S = 3 * HOUR_S;

export type Column = (number | null | undefined)[];

export interface ObservedPoint {
  at: number;
  value: number;
}

export type ForecastPoint = { at: number } & Partial<Record<Quantile, number>>;

/** One variable's history and future, in seconds since 1970, before any chart library. */
export interface Fan {
  observed: ObservedPoint[];
  forecast: ForecastPoint[];
}

export const QUANTILES = ["q05", "q10", "q25", "q50", "q75", "q90", "q95"] as const;

const seconds = (time: string): number => Date.parse(time) / 1000;

function finite(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Values that failed their quality check are not drawn as weather. */
export function observedPoints(
  history: readonly Observation[],
  variable: Variable,
  from = Number.NEGATIVE_INFINITY,
): ObservedPoint[] {
  const points: ObservedPoint[] = [];
  for (const observation of history) {
    const value = observation[variable];
    const at = seconds(observation.time);
    if (at < from || !finite(value) || observation.quality?.[variable] === "fail") continue;
    points.push({ at, value });
  }
  return points;
}

export function validTimes(forecast: Pick<Forecast, "reference_time" | "leads">): number[] {
  const reference = seconds(forecast.reference_time);
  return forecast.leads.map((lead) => reference + lead * HOUR_S);
}

export function forecastPoints(
  forecast: Forecast | null,
  variable: ForecastVariable,
): ForecastPoint[] {
  // Wind direction has a median only.
  const quantiles: Partial<Quantiles> | undefined = forecast?.variables[variable];
  if (!forecast || !quantiles) return [];
  return validTimes(forecast).flatMap((at, i) => {
    const point: ForecastPoint = { at };
    for (const name of QUANTILES) {
      const value = quantiles[name]?.[i];
      if (finite(value)) point[name] = value;
    }
    return point.q50 === undefined ? [] : [point];
  });
}

/**
 * The fan opens from the reading it was made from: at the reference time nothing is uncertain.
 * Without that reading (the variable was missing) it opens at its first lead.
 */
function withApex(observed: ObservedPoint[], forecast: ForecastPoint[], reference: number) {
  const apex = observed.findLast((point) => point.at === reference);
  if (!apex || forecast.length === 0) return forecast;
  const certain = Object.fromEntries(QUANTILES.map((name) => [name, apex.value]));
  return [{ at: apex.at, ...certain }, ...forecast];
}

export function fanOf(
  history: readonly Observation[],
  forecast: Forecast | null,
  variable: ForecastVariable,
  from?: number,
): Fan {
  const observed = observedPoints(history, variable, from);
  const points = forecastPoints(forecast, variable);
  const reference = forecast ? seconds(forecast.reference_time) : Number.NaN;
  return { observed, forecast: withApex(observed, points, reference) };
}

/** A point of a line; null is a gap in it. */
type LinePoint = { at: number; value: number | null };

/** Adds a point without a value into every long silence, so that the line breaks there. */
export function withGaps(points: readonly ObservedPoint[]): LinePoint[] {
  return points.flatMap((point, i): LinePoint[] => {
    const before = points[i - 1];
    const silent = before && point.at - before.at > GAP_S;
    return silent ? [{ at: before.at + 1, value: null }, point] : [point];
  });
}

/**
 * One shared time axis for several lines, as the chart wants it. In a column "undefined" means
 * only that another line has a point here and this one goes on; null is a gap and breaks it.
 */
export function align(lines: readonly (readonly LinePoint[])[]): [number[], ...Column[]] {
  const times = [...new Set(lines.flatMap((line) => line.map((point) => point.at)))];
  times.sort((a, b) => a - b);
  const index = new Map(times.map((at, i) => [at, i]));
  const columns = lines.map((line) => {
    const column: Column = new Array<undefined>(times.length).fill(undefined);
    for (const { at, value } of line) column[index.get(at) ?? 0] = value;
    return column;
  });
  return [times, ...columns];
}

const quantileLine = (fan: Fan, name: Quantile): LinePoint[] =>
  fan.forecast.flatMap((point) => {
    const value = point[name];
    return value === undefined ? [] : [{ at: point.at, value }];
  });

/** The order of columns in `alignFan`: outer band, inner band, median, then what was seen. */
export const FAN_COLUMNS = ["q95", "q05", "q75", "q25", "q50", "observed"] as const;

/** uPlot's data of a fan in the order of FAN_COLUMNS; each extra adds its observed and median. */
export function alignFan(fan: Fan, extras: readonly Fan[] = []): [number[], ...Column[]] {
  const lineOf = (of: Fan, name: (typeof FAN_COLUMNS)[number]) =>
    name === "observed" ? withGaps(of.observed) : quantileLine(of, name);
  return align([
    ...FAN_COLUMNS.map((name) => lineOf(fan, name)),
    ...extras.flatMap((extra) => [lineOf(extra, "observed"), lineOf(extra, "q50")]),
  ]);
}

/** The point of a time-ordered list nearest to `at`, if it is within `reach` seconds. */
export function nearest<Point extends { at: number }>(
  points: readonly Point[],
  at: number,
  reach: number,
): Point | null {
  let best: Point | null = null;
  for (const point of points) {
    const distance = Math.abs(point.at - at);
    if (distance <= reach && (!best || distance < Math.abs(best.at - at))) best = point;
  }
  return best;
}
