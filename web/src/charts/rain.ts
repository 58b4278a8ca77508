import type { Forecast, Observation } from "../api/types";
import { validTimes } from "./fan";

const HOUR_S = 3600;

export interface RainHour {
  /** End of the hour, seconds since 1970. */
  at: number;
  amount: number;
}

export interface RainForecastHour {
  at: number;
  median?: number;
  upper?: number;
  probability?: number;
}

/**
 * Hourly sums from accumulations of any period. A report covers (time - period, time]; what
 * overlaps an instant already told is counted once, because stations that report a running
 * hour every ten minutes would otherwise make it rain six times. A period that crosses the
 * full hour, or spans several, is spread evenly over the time it newly covers.
 */
export function hourlyRain(history: readonly Observation[]): RainHour[] {
  const hours = new Map<number, number>();
  let coveredTo = Number.NEGATIVE_INFINITY;
  for (const observation of history) {
    const amount = observation.precipitation;
    if (typeof amount !== "number" || !Number.isFinite(amount) || amount < 0) continue;
    if (observation.quality?.precipitation === "fail") continue;
    const end = Date.parse(observation.time) / 1000;
    const period = Math.max(1, observation.precipitation_period ?? HOUR_S);
    const start = Math.max(end - period, coveredTo);
    if (end <= start) continue;
    spread(hours, start, end, newlyFallen(amount, period, start, end));
    coveredTo = end;
  }
  return [...hours].map(([at, sum]) => ({ at, amount: sum })).sort((a, b) => a.at - b.at);
}

const newlyFallen = (amount: number, period: number, start: number, end: number): number =>
  amount * ((end - start) / period);

function spread(hours: Map<number, number>, start: number, end: number, amount: number): void {
  let at = start;
  while (at < end) {
    const hourEnd = (Math.floor(at / HOUR_S) + 1) * HOUR_S;
    const until = Math.min(end, hourEnd);
    const part = (amount * (until - at)) / (end - start);
    hours.set(hourEnd, (hours.get(hourEnd) ?? 0) + part);
    at = until;
  }
}

export function rainForecast(forecast: Forecast | null): RainForecastHour[] {
  if (!forecast) return [];
  const amounts = forecast.variables.precipitation;
  return validTimes(forecast).flatMap((at, i) => {
    const hour: RainForecastHour = { at };
    const median = amounts?.q50[i];
    const upper = amounts?.q90[i];
    const probability = forecast.precipitation_probability?.[i];
    if (typeof median === "number") hour.median = median;
    if (typeof upper === "number") hour.upper = upper;
    if (typeof probability === "number") hour.probability = Math.min(1, Math.max(0, probability));
    return Object.keys(hour).length > 1 ? [hour] : [];
  });
}
