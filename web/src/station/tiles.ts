import type { Observation, Variable } from "../api/types";
import { t } from "../messages/t";
import { hasExpired } from "../time/age";
import { formatNumber, reading, withUnit } from "../weather/format";
import { pressureTendency } from "../weather/trend";
import { CALM_MS, compassPoint } from "../weather/wind";

/** In the order in which they are done. */
const QUALITY_TESTS = ["range", "consistency", "step", "spike", "persistence", "spatial"] as const;
export type QualityTest = (typeof QUALITY_TESTS)[number];

export interface Tile {
  variable: Variable;
  value: number;
  /** When this value was observed: a station need not report everything every time. */
  time: string;
  stale: boolean;
  quality: "suspect" | "fail" | null;
  /** The quality control tests that it did not pass. */
  tests: QualityTest[];
  notes: string[];
  /** Where the wind is from, for an arrow. */
  from: number | null;
}

const ORDER: readonly Variable[] = [
  "temperature",
  "wind_speed",
  "pressure_msl",
  "pressure_station",
  "precipitation",
  "relative_humidity",
  "solar_radiation",
  "cloud_cover",
  "visibility",
];

/** The newest observation that has `variable`: some instruments speak less often than others. */
function newestWith(
  latest: Observation | null,
  history: readonly Observation[],
  variable: Variable,
): Observation | null {
  if (reading(latest, variable) !== null) return latest;
  return history.findLast((observation) => reading(observation, variable) !== null) ?? null;
}

export function tiles(
  latest: Observation | null,
  history: readonly Observation[],
  now: number,
): Tile[] {
  const found = ORDER.flatMap((variable) => {
    const observation = newestWith(latest, history, variable);
    const value = reading(observation, variable);
    if (!observation || value === null) return [];
    const tile: Tile = {
      variable,
      value,
      time: observation.time,
      stale: hasExpired(observation, now),
      quality: observation.quality?.[variable] ?? null,
      tests: QUALITY_TESTS.filter((test) => observation.quality_tests?.[variable]?.[test]),
      notes: notesFor(variable, observation, history),
      from: variable === "wind_speed" ? windFrom(observation) : null,
    };
    return [tile];
  });
  // Reduced to sea level it can be compared; the raw one matters only where it is alone.
  const hasSeaLevel = found.some((tile) => tile.variable === "pressure_msl");
  return found.filter((tile) => !(hasSeaLevel && tile.variable === "pressure_station"));
}

function windFrom(observation: Observation): number | null {
  const calm = (reading(observation, "wind_speed") ?? 0) < CALM_MS;
  return calm ? null : reading(observation, "wind_direction");
}

function notesFor(
  variable: Variable,
  observation: Observation,
  history: readonly Observation[],
): string[] {
  switch (variable) {
    case "temperature": {
      const dew = reading(observation, "dew_point");
      return dew === null ? [] : [t("tile.dewPoint", { value: withUnit("dew_point", dew) })];
    }
    case "wind_speed":
      return windNotes(observation);
    case "pressure_msl":
      return tendencyNotes(history);
    case "precipitation":
      return [periodNote(observation.precipitation_period ?? 3600)];
    default:
      return [];
  }
}

function windNotes(observation: Observation): string[] {
  const from = windFrom(observation);
  const gust = reading(observation, "wind_gust");
  const calm = (reading(observation, "wind_speed") ?? 0) < CALM_MS;
  return [
    ...(calm ? [t("tile.calm")] : []),
    ...(from === null ? [] : [t("tile.from", { direction: t(`direction.${compassPoint(from)}`) })]),
    ...(gust === null ? [] : [t("tile.gust", { value: formatNumber(gust, 1) })]),
  ];
}

function tendencyNotes(history: readonly Observation[]): string[] {
  const tendency = pressureTendency(history);
  if (!tendency) return [];
  const sign = tendency.change > 0 ? "+" : "";
  const change = sign + formatNumber(tendency.change, 1);
  return [t("tile.trend", { trend: t(`tile.trend.${tendency.trend}`), change })];
}

function periodNote(seconds: number): string {
  return seconds === 3600
    ? t("tile.precipitation.hour")
    : t("tile.precipitation.period", { minutes: Math.round(seconds / 60) });
}
