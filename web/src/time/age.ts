import type { Forecast, Observation, StationState } from "../api/types";

/** When the sender gives no expiry, an hourly station that missed one report still looks live. */
export const DEFAULT_LIFETIME_MS = 2 * 3_600_000;

export type AgeUnit = "second" | "minute" | "hour" | "day";
export interface Age {
  value: number;
  unit: AgeUnit;
}

/** The largest whole unit. A clock slightly behind the server's must not say "in 3 s". */
export function ageOf(time: string, now: number): Age {
  const seconds = Math.max(0, Math.floor((now - Date.parse(time)) / 1000));
  if (seconds < 60) return { value: seconds, unit: "second" };
  if (seconds < 3600) return { value: Math.floor(seconds / 60), unit: "minute" };
  if (seconds < 48 * 3600) return { value: Math.floor(seconds / 3600), unit: "hour" };
  return { value: Math.floor(seconds / 86_400), unit: "day" };
}

export function observationExpiry(observation: Pick<Observation, "time" | "expires">): number {
  const told = observation.expires ? Date.parse(observation.expires) : Number.NaN;
  return Number.isNaN(told) ? Date.parse(observation.time) + DEFAULT_LIFETIME_MS : told;
}

export function observationExpired(
  observation: Pick<Observation, "time" | "expires">,
  now: number,
): boolean {
  return now >= observationExpiry(observation);
}

export function forecastExpired(forecast: Pick<Forecast, "expires">, now: number): boolean {
  const expires = Date.parse(forecast.expires);
  // An expiry that cannot be read must not keep a forecast looking live for ever.
  return Number.isNaN(expires) || now >= expires;
}

/**
 * What to show for a station. The server's word can be old by the time it is read (or never
 * come again when the connection is gone), so an expired value is stale whatever was said.
 */
export function shownState(
  told: StationState | undefined,
  latest: Pick<Observation, "time" | "expires"> | null,
  now: number,
): StationState {
  if (told === "down") return "down";
  if (!latest) return told === "stale" ? "stale" : "silent";
  if (told === "stale" || observationExpired(latest, now)) return "stale";
  return "up";
}
