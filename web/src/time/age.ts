import type { Forecast, Observation, StationState } from "../api/types";

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

export function hasExpired({ expires }: Pick<Observation | Forecast, "expires">, now: number): boolean {
  const end = Date.parse(expires);
  // An expiry that cannot be read must not keep anything looking live for ever.
  return Number.isNaN(end) || now >= end;
}

/**
 * What to show for a station. The server's word can be old by the time it is read (or never
 * come again when the connection is gone), so an expired value is stale whatever was said.
 */
export function shownState(
  told: StationState | undefined,
  latest: Pick<Observation, "expires"> | null,
  now: number,
): StationState {
  if (told === "down") return "down";
  if (!latest) return told === "stale" ? "stale" : "silent";
  if (told === "stale" || hasExpired(latest, now)) return "stale";
  return "up";
}
