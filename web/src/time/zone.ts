import { LOCALE } from "../messages/locale";

const HOUR_MS = 3_600_000;
const QUARTER_MS = 900_000;

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** A zone this browser knows: stations may name one that its data has never heard of. */
export function validZone(zone: string | null | undefined): string {
  if (!zone) return browserZone();
  try {
    new Intl.DateTimeFormat(LOCALE, { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

// Building a formatter costs far more than using it, and axes use it hundreds of times a draw.
function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let held = formats.get(key);
  if (!held) {
    held = new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: zone, hourCycle: "h23" });
    formats.set(key, held);
  }
  return held;
}

export const clockTime = (time: number, zone: string): string =>
  format(zone, { hour: "2-digit", minute: "2-digit" }).format(time);

export const clockSeconds = (time: number, zone: string): string =>
  format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(time);

export const dayAndTime = (time: number, zone: string): string =>
  `${dayName(time, zone)}, ${clockTime(time, zone)}`;

export const dayName = (time: number, zone: string): string =>
  format(zone, { weekday: "short", day: "numeric", month: "short" }).format(time);

export function zoneName(time: number, zone: string): string {
  const parts = format(zone, { timeZoneName: "short", hour: "2-digit" }).formatToParts(time);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

function localHourMinute(time: number, zone: string): [number, number] {
  const [hour = "0", minute = "0"] = clockTime(time, zone).split(":");
  return [Number(hour), Number(minute)];
}

/**
 * The instants between two times whose local clock shows a whole multiple of `step` hours.
 * Walked by quarter hours, because zones stand 30 and 45 minutes off and days have 23 or 25
 * hours twice a year; arithmetic on offsets gets one of these wrong.
 */
export function localTicks(from: number, to: number, zone: string, step: number): number[] {
  const ticks: number[] = [];
  let at = Math.ceil(from / QUARTER_MS) * QUARTER_MS;
  while (at <= to) {
    const [hour, minute] = localHourMinute(at, zone);
    if (minute === 0 && hour % step === 0) {
      ticks.push(at);
      at += HOUR_MS;
    } else {
      at += QUARTER_MS;
    }
  }
  return ticks;
}

export function isLocalMidnight(time: number, zone: string): boolean {
  const [hour, minute] = localHourMinute(time, zone);
  return hour === 0 && minute === 0;
}
