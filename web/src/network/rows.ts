import type { StationState } from "../api/types";
import type { StationRecord } from "../live/merge";
import { LOCALE } from "../messages/locale";
import { reading } from "../weather/format";

export const SORTS = ["name", "temperature", "wind_speed", "age"] as const;
export type Sort = (typeof SORTS)[number];

const byText = new Intl.Collator(LOCALE, { numeric: true, sensitivity: "base" });

export const nameOf = ({ station }: StationRecord): string => station.name || station.id;

/** Each word has to be found in the name or the id, in any order, accents or not. */
export function matching(records: Iterable<StationRecord>, query: string): StationRecord[] {
  const words = plain(query).split(/\s+/).filter(Boolean);
  return [...records].filter(({ station }) => {
    const text = plain(`${station.name ?? ""} ${station.id}`);
    return words.every((word) => text.includes(word));
  });
}

const plain = (text: string): string =>
  text.normalize("NFKD").replace(/\p{Diacritic}/gu, "").toLocaleLowerCase(LOCALE);

/** Stations that lack what is sorted by come last, whatever the direction. */
export function sorted(records: readonly StationRecord[], sort: Sort): StationRecord[] {
  const byName = (a: StationRecord, b: StationRecord) => byText.compare(nameOf(a), nameOf(b));
  if (sort === "name") return [...records].sort(byName);
  const keys = new Map(records.map((record) => [record, keyOf(record, sort)]));
  const key = (record: StationRecord) => keys.get(record) ?? Number.NEGATIVE_INFINITY;
  return [...records].sort((a, b) => {
    const difference = key(b) - key(a);
    return Number.isNaN(difference) || difference === 0 ? byName(a, b) : difference;
  });
}

function keyOf({ latest }: StationRecord, sort: Exclude<Sort, "name">): number | undefined {
  if (sort === "age") return latest ? Date.parse(latest.time) : undefined;
  return reading(latest, sort) ?? undefined;
}

export function countStates(states: readonly StationState[]): { up: number; quiet: number } {
  const up = states.filter((state) => state === "up").length;
  return { up, quiet: states.length - up };
}
