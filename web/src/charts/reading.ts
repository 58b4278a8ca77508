import type { ForecastVariable } from "../api/types";
import { t } from "../messages/t";
import { dayAndTime } from "../time/zone";
import { formatNumber, formatPercent, formatValue } from "../weather/format";
import { compassPoint } from "../weather/wind";
import type { WindArrow } from "./arrows";
import { type Fan, nearest } from "./fan";
import type { RainForecastHour, RainHour } from "./rain";

export interface Reading {
  when: string;
  parts: string[];
}

const HOUR_S = 3600;
const REACH_S = 2700;

interface FanSource {
  variable: ForecastVariable;
  fan: Fan;
  extras?: { variable: ForecastVariable; fan: Fan }[];
  arrows?: WindArrow[];
}

/** What a chart says at the instant its reader points to; the nearest point's own time. */
export function fanReading(at: number, source: FanSource, zone: string): Reading {
  const { variable, fan } = source;
  const unit = t(`unit.${variable}`);
  const show = (value: number | null | undefined) => formatValue(variable, value);
  const seen = nearest(fan.observed, at, REACH_S);
  const told = seen ? null : nearest(fan.forecast, at, REACH_S);
  const when = (seen ?? told)?.at ?? at;
  const parts: string[] = [];
  if (seen) parts.push(t("chart.read.observed", { value: show(seen.value), unit }));
  if (told) {
    const median = show(told.q50);
    const [q05, q25, q75, q95] = [told.q05, told.q25, told.q75, told.q95].map(show) as [
      string,
      string,
      string,
      string,
    ];
    parts.push(
      told.q05 === undefined
        ? t("chart.read.median", { median, unit })
        : t("chart.read.forecast", { median, unit, q05, q25, q75, q95 }),
    );
  }
  return { when: dayAndTime(when * 1000, zone), parts: [...parts, ...extraParts(at, source)] };
}

function extraParts(at: number, { extras = [], arrows = [] }: FanSource): string[] {
  const parts = extras.flatMap(({ variable, fan }) => {
    const value = nearest(fan.observed, at, REACH_S)?.value ?? nearest(fan.forecast, at, REACH_S)?.q50;
    if (value === undefined) return [];
    const fill = { value: formatValue(variable, value), unit: t(`unit.${variable}`) };
    return [t(variable === "dew_point" ? "chart.read.dewPoint" : "chart.read.gust", fill)];
  });
  const arrow = nearest(arrows, at, 2 * HOUR_S);
  if (!arrow) return parts;
  const direction = t(`direction.${compassPoint(arrow.from)}`);
  return [...parts, t("chart.read.wind", { direction })];
}

export function rainReading(
  at: number,
  observed: readonly RainHour[],
  forecast: readonly RainForecastHour[],
  zone: string,
): Reading {
  // Bars stand before their time stamp: the hour that ends there.
  const within = (hour: { at: number }) => at > hour.at - HOUR_S && at <= hour.at;
  const seen = observed.find(within);
  const told = forecast.find(within);
  const when = dayAndTime(((seen ?? told)?.at ?? at) * 1000, zone);
  const parts: string[] = [];
  if (seen) parts.push(t("chart.read.rain", { value: formatNumber(seen.amount, 1) }));
  if (told) {
    parts.push(
      t("chart.read.rainForecast", {
        probability: formatPercent(told.probability),
        median: formatNumber(told.median, 1),
        q90: formatNumber(told.upper, 1),
      }),
    );
  }
  return { when, parts };
}
