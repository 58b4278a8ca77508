// The shapes of the API. Kept in this one file so that types generated from the OpenAPI
// document can take its place without touching anything else.

/** A station's reachability as the API sees it; "silent" has never sent anything. */
export type StationState = "up" | "stale" | "down" | "silent";

export interface Station {
  id: string;
  name?: string;
  latitude?: number | null;
  longitude?: number | null;
  elevation?: number | null;
  timezone?: string | null;
  public?: boolean;
  simulated?: boolean;
  state?: StationState;
}

/** The measured quantities, by their names on the wire. */
export interface Readings {
  temperature?: number | null;
  dew_point?: number | null;
  relative_humidity?: number | null;
  pressure_msl?: number | null;
  pressure_station?: number | null;
  wind_speed?: number | null;
  wind_direction?: number | null;
  wind_gust?: number | null;
  precipitation?: number | null;
  solar_radiation?: number | null;
  cloud_cover?: number | null;
  visibility?: number | null;
  present_weather?: number | null;
}

export type Variable = keyof Readings;

export interface Observation extends Readings {
  station: string;
  time: string;
  /** Seconds that `precipitation` was gathered over; an hour when absent. */
  precipitation_period?: number | null;
  source?: string;
  /** Only variables that are not good are named. */
  quality?: Partial<Record<Variable, "suspect" | "fail">>;
  /** After this the observation must not look live. */
  expires?: string;
  revision?: number;
}

export type Quantile = "q05" | "q10" | "q25" | "q50" | "q75" | "q90" | "q95";
/** Wind direction has a median only, so every other quantile may be missing. */
export type Quantiles = { q50: (number | null)[] } & Partial<Record<Quantile, (number | null)[]>>;

export type ForecastVariable =
  | "temperature"
  | "dew_point"
  | "pressure_msl"
  | "wind_speed"
  | "wind_gust"
  | "wind_direction"
  | "precipitation";

export interface Forecast {
  station: string;
  reference_time: string;
  issue_time: string;
  expires: string;
  model: { name: string; version: string };
  /** Hours after reference_time. */
  leads: number[];
  variables: Partial<Record<ForecastVariable, Quantiles>>;
  precipitation_probability?: (number | null)[];
  weather_code?: (number | null)[];
  inputs?: { age_seconds?: number; missing_share?: number };
  cause?: string;
  revision?: number;
}

export interface StationFeature {
  type: "Feature";
  id: string;
  geometry: { type: "Point"; coordinates: number[] } | null;
  properties: Station;
}

export interface StationCollection {
  type: "FeatureCollection";
  features: StationFeature[];
}

/** RFC 9457 */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
}

export type Channel = "observation" | "forecast" | "station";

export interface Subscription {
  id: string;
  stations?: string[];
  all?: true;
  channels: Channel[];
}

export type ClientFrame =
  | ({ type: "subscribe"; cursor?: string } & Subscription)
  | { type: "unsubscribe"; id: string }
  | { type: "ping" };

export interface SnapshotEntry {
  station: Station;
  observation: Observation | null;
  forecast: Forecast | null;
}

export type UpdateFrame =
  | ({ type: "observation"; cursor?: string } & Observation)
  | ({ type: "forecast"; cursor?: string } & Forecast)
  | {
      type: "station";
      station: string;
      state?: StationState;
      details?: Station | null;
      cursor?: string;
    };

export interface SnapshotFrame {
  type: "snapshot";
  id: string;
  stations: SnapshotEntry[];
  cursor?: string;
}

export type ServerFrame =
  | SnapshotFrame
  | UpdateFrame
  | { type: "batch"; updates: UpdateFrame[]; cursor?: string }
  | { type: "recovered"; id: string; complete: boolean; cursor?: string }
  | { type: "error"; code: string; message: string; id?: string }
  | { type: "pong" };
