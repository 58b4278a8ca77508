import type { Observation } from "../api/types";

const SPAN_MS = 3 * 3_600_000;
const SLACK_MS = 45 * 60_000;
/** Below this the glass is "steady", as in the marine code. */
const STEADY_HPA = 0.5;

export interface Tendency {
  change: number;
  trend: "rising" | "falling" | "steady";
}

/** The classical three-hour tendency; null when no reading stands near three hours back. */
export function pressureTendency(history: readonly Observation[]): Tendency | null {
  const withPressure = history.filter((o) => typeof o.pressure_msl === "number");
  const newest = withPressure.at(-1);
  if (!newest) return null;
  const wanted = Date.parse(newest.time) - SPAN_MS;
  const distance = (o: Observation) => Math.abs(Date.parse(o.time) - wanted);
  const before = withPressure.reduce((best, o) => (distance(o) < distance(best) ? o : best), newest);
  if (distance(before) > SLACK_MS) return null;
  const change = (newest.pressure_msl ?? 0) - (before.pressure_msl ?? 0);
  const trend = Math.abs(change) < STEADY_HPA ? "steady" : change > 0 ? "rising" : "falling";
  return { change, trend };
}
