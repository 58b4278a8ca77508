import type { Forecast, Observation, Quantiles, Station } from "./types";

/** Whole objects for tests, which then say only what they are about. */
export const station = (id: string, more: Partial<Station> = {}): Station => ({
  id,
  name: id,
  public: true,
  simulated: false,
  state: "up",
  ...more,
});

const LIFETIME_MS = 2 * 3_600_000;

export const observation = (time: string, more: Partial<Observation> = {}): Observation => ({
  station: "X1",
  time,
  // A test of nonsense times needs an observation too.
  expires: Number.isNaN(Date.parse(time))
    ? time
    : new Date(Date.parse(time) + LIFETIME_MS).toISOString(),
  ...more,
});

export const forecast = (reference: string, more: Partial<Forecast> = {}): Forecast => ({
  station: "X1",
  reference_time: reference,
  issue_time: reference,
  expires: new Date(Date.parse(reference) + 3 * 3_600_000).toISOString(),
  model: { name: "m", version: "1" },
  leads: [],
  variables: {},
  inputs: { age_seconds: 0, missing_share: 0, masked_share: 0 },
  cause: "0-1",
  revision: 0,
  ...more,
});

/** Every level of one quantity, of what `level` gives for its share. */
export const quantiles = (level: (share: number) => number[]): Quantiles => ({
  q05: level(0.05),
  q10: level(0.1),
  q25: level(0.25),
  q50: level(0.5),
  q75: level(0.75),
  q90: level(0.9),
  q95: level(0.95),
});
