import type { Observation, Variable } from "../api/types";
import { LOCALE } from "../messages/locale";
import { t } from "../messages/t";
import type { Age } from "../time/age";

/** Typographic minus: a hyphen is too short beside figures. */
const MINUS = "\u2212";
export const NONE = "–";

const DECIMALS: Partial<Record<Variable, number>> = {
  relative_humidity: 0,
  wind_direction: 0,
  solar_radiation: 0,
  cloud_cover: 0,
  present_weather: 0,
};

const formats = new Map<number, Intl.NumberFormat>();

export function formatNumber(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  let format = formats.get(decimals);
  if (!format) {
    format = new Intl.NumberFormat(LOCALE, {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
      useGrouping: false,
    });
    formats.set(decimals, format);
  }
  // Adding zero turns a rounded −0.0 into 0.0.
  const rounded = Number(value.toFixed(decimals)) + 0;
  return format.format(rounded).replace("-", MINUS);
}

/** Visibility travels in metres and is read in kilometres. */
export function displayValue(variable: Variable, value: number): number {
  return variable === "visibility" ? value / 1000 : value;
}

export function formatValue(variable: Variable, value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return formatNumber(displayValue(variable, value), DECIMALS[variable] ?? 1);
}

export function withUnit(variable: Variable, value: number | null | undefined): string {
  const unit = t(`unit.${variable}`);
  const space = unit === "°" ? "" : "\u202f";
  const text = formatValue(variable, value);
  return text === NONE || unit === "" ? text : text + space + unit;
}

export const formatPercent = (share: number | null | undefined): string =>
  share === null || share === undefined ? NONE : `${formatNumber(share * 100, 0)}\u202f%`;

export const formatAge = (age: Age): string => t(`age.${age.unit}`, { value: age.value });
export const formatAgeShort = (age: Age): string =>
  t(`age.short.${age.unit}`, { value: age.value });

/** null where the value is absent, so that no caller has to tell null from undefined. */
export function reading(observation: Observation | null, variable: Variable): number | null {
  const value = observation?.[variable];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
