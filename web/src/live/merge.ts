import type {
  Forecast,
  Observation,
  ServerFrame,
  SnapshotEntry,
  SnapshotFrame,
  Station,
  StationState,
  UpdateFrame,
} from "../api/types";

/** History kept in the page: the 48 h that are drawn, and as much again for late scrolling. */
export const HISTORY_MS = 96 * 3_600_000;

export interface StationRecord {
  /** Its identifier alone until the API has described it. */
  readonly station: Pick<Station, "id"> & Partial<Station>;
  readonly state: StationState | undefined;
  readonly latest: Observation | null;
  readonly forecast: Forecast | null;
  /** In time order. null until somebody looks at the station: most stations are never opened. */
  readonly history: readonly Observation[] | null;
}

export type Network = ReadonlyMap<string, StationRecord>;

const ms = (time: string): number => Date.parse(time);

function blank(id: string): StationRecord {
  return { station: { id }, state: undefined, latest: null, forecast: null, history: null };
}

/** Newest wins; for the same instant the later arrival, which is a correction. */
export function mergeLatest(held: Observation | null, next: Observation | null) {
  if (!next || Number.isNaN(ms(next.time))) return held;
  if (!held) return next;
  return ms(next.time) >= ms(held.time) ? next : held;
}

/** Puts one observation into its place; the usual case, the newest, is an append. */
export function insertObservation(
  history: readonly Observation[],
  next: Observation,
): readonly Observation[] {
  const time = ms(next.time);
  if (Number.isNaN(time)) return history;
  let at = history.length;
  while (at > 0 && ms(history[at - 1]?.time ?? "") > time) at -= 1;
  const before = history[at - 1];
  if (before && ms(before.time) === time) {
    return [...history.slice(0, at - 1), next, ...history.slice(at)];
  }
  return capHistory([...history.slice(0, at), next, ...history.slice(at)]);
}

/** Drops what is older than the cap, counted from the newest observation and not from a clock. */
export function capHistory(history: readonly Observation[]): readonly Observation[] {
  const newest = history.at(-1);
  if (!newest) return history;
  const oldest = ms(newest.time) - HISTORY_MS;
  const from = history.findIndex((observation) => ms(observation.time) >= oldest);
  return from <= 0 ? history : history.slice(from);
}

/**
 * History read by REST joined with what arrived live meanwhile. Where both tell of an instant
 * the live one stays: it was pushed because it is newer than the page being read.
 */
export function mergeHistory(
  live: readonly Observation[],
  read: readonly Observation[],
): readonly Observation[] {
  const byTime = new Map<number, Observation>();
  for (const observation of [...read, ...live]) {
    const time = ms(observation.time);
    if (!Number.isNaN(time)) byTime.set(time, observation);
  }
  const ordered = [...byTime.entries()].sort(([a], [b]) => a - b);
  return capHistory(ordered.map(([, observation]) => observation));
}

/** "ms-seq", to be compared as numbers; anything else is before all. */
function streamId(text: string): [ms: number, sequence: number] {
  const [, milliseconds, sequence] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  return [Number(milliseconds ?? -1), Number(sequence ?? -1)];
}

function compareCauses(a: string, b: string): number {
  const [first, second] = [streamId(a), streamId(b)];
  return first[0] - second[0] || first[1] - second[1];
}

/**
 * An older forecast never replaces a newer one: reference time, then the entry that caused it, and
 * the issue, which is by the clock of some worker, last. The same order as the API's.
 */
export function mergeForecast(held: Forecast | null, next: Forecast | null): Forecast | null {
  if (!next) return held;
  if (!held) return next;
  const order =
    ms(next.reference_time) - ms(held.reference_time) ||
    compareCauses(next.cause, held.cause) ||
    ms(next.issue_time) - ms(held.issue_time);
  return order >= 0 ? next : held;
}

function withObservation(record: StationRecord, next: Observation | null): StationRecord {
  if (!next) return record;
  const latest = mergeLatest(record.latest, next);
  const history = record.history && insertObservation(record.history, next);
  return latest === record.latest && history === record.history
    ? record
    : { ...record, latest, history };
}

/** A description is always whole: what it leaves out is no longer known. */
export function withStation(record: StationRecord, station: Station): StationRecord {
  return { ...record, station, state: station.state };
}

function applyUpdate(record: StationRecord, update: UpdateFrame): StationRecord {
  switch (update.type) {
    case "observation":
      return withObservation(record, update);
    case "forecast": {
      const forecast = mergeForecast(record.forecast, update);
      return forecast === record.forecast ? record : { ...record, forecast };
    }
    case "station":
      return update.details ? withStation(record, update.details) : record;
  }
}

function applySnapshotEntry(record: StationRecord, entry: SnapshotEntry): StationRecord {
  const told = withObservation(withStation(record, entry.station), entry.observation);
  return { ...told, forecast: mergeForecast(told.forecast, entry.forecast) };
}

function isUpdate(frame: ServerFrame): frame is UpdateFrame {
  return frame.type === "observation" || frame.type === "forecast" || frame.type === "station";
}

/** Stations that were described before and are not in the snapshot of a subscription about them. */
function missing(network: Network, frame: SnapshotFrame, covers: Covers): string[] {
  const listed = new Set(frame.stations.map((entry) => entry.station.id));
  return [...network.values()]
    .filter((record) => record.state !== undefined)
    .map((record) => record.station.id)
    .filter((id) => !listed.has(id) && covers(frame.id, id));
}

/** Whether a subscription is about a station. */
export type Covers = (subscription: string, station: string) => boolean;

/** All frames of one animation frame at once, so a busy network costs one copy of the map. */
export function applyFrames(
  network: Network,
  frames: readonly ServerFrame[],
  covers: Covers = () => false,
): Network {
  const next = new Map(network);
  let changed = false;
  const put = (id: string, change: (record: StationRecord) => StationRecord) => {
    const held = next.get(id);
    const record = change(held ?? blank(id));
    if (record === held) return;
    next.set(id, record);
    changed = true;
  };
  const drop = (id: string) => {
    changed = next.delete(id) || changed;
  };
  for (const frame of frames) {
    if (frame.type === "snapshot") {
      missing(next, frame, covers).forEach(drop);
      for (const entry of frame.stations) {
        put(entry.station.id, (record) => applySnapshotEntry(record, entry));
      }
    }
    if (frame.type === "station" && frame.state === "removed") drop(frame.station);
    else if (isUpdate(frame)) put(frame.station, (record) => applyUpdate(record, frame));
  }
  return changed ? next : network;
}

export function applyStations(network: Network, stations: readonly Station[]): Network {
  const next = new Map(network);
  for (const station of stations) {
    next.set(station.id, withStation(next.get(station.id) ?? blank(station.id), station));
  }
  return next;
}

export function changeRecord(
  network: Network,
  id: string,
  change: (record: StationRecord) => StationRecord,
): Network {
  return new Map(network).set(id, change(network.get(id) ?? blank(id)));
}

/** The stations whose newest observation came with these frames: the ones that pulse. */
export function observedIn(frames: readonly ServerFrame[]): string[] {
  return frames.flatMap((frame) => (frame.type === "observation" ? [frame.station] : []));
}
