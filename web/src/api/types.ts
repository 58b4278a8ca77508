// Names for the shapes of the API's document. What the wire looks like is written in
// `schema.d.ts`, which `make types` generates; nothing here may say it a second time.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Station = Schemas["Station"];
/** A station's reachability as the API sees it; "silent" has never sent anything. */
export type StationState = Schemas["State"];
export type StationFeature = Schemas["Feature"];
export type StationCollection = Schemas["FeatureCollection"];

export type Observation = Schemas["Observation"];
export type Observations = Schemas["Observations"];
/** The measured quantities, by their names on the wire. */
export type Variable = Exclude<
  keyof Observation,
  "station" | "time" | "precipitation_period" | "source" | "quality" | "quality_tests" | "expires"
>;

export type Forecast = Schemas["Forecast"];
export type ForecastVariable = keyof Schemas["Variables"];
export type Quantiles = Schemas["Quantiles"];
export type Quantile = keyof Quantiles;

/** One message of a station, let in or refused. */
export type Contact = Schemas["Contact"];
/** What was heard of a station last. */
export type Contacts = Schemas["Contacts"];
export type ContactList = Schemas["ContactList"];

export type Problem = Schemas["Problem"];

export type ClientFrame = Schemas["ClientFrame"];
/** What is asked for; where it goes on is the connection's business. */
export type Subscription = Omit<Schemas["SubscribeFrame"], "cursor">;

export type ServerFrame = Schemas["ServerFrame"];
export type SnapshotEntry = Schemas["SnapshotEntry"];
export type SnapshotFrame = Extract<ServerFrame, { type: "snapshot" }>;
/** What happened to one station. */
export type UpdateFrame = Extract<ServerFrame, { type: "observation" | "forecast" | "station" }>;
