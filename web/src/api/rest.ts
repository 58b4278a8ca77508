import type {
  ContactList,
  Contacts,
  Forecast,
  Observation,
  Observations,
  Problem,
  Station,
  StationCollection,
  StationFeature,
} from "./types";

/** An answer that is not a success, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const base = (import.meta.env.VITE_API_URL ?? "").replace(/\/+$/, "");

export function liveUrl(): string {
  const url = new URL(`${base}/api/v1/live`, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(base + path, { headers: { accept: "application/json" }, signal });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "unreachable");
  }
  if (!response.ok) throw new ApiError(response.status, await reason(response));
  try {
    return (await response.json()) as T;
  } catch {
    // A proxy's error page with status 200 lands here; it must not look like data.
    throw new ApiError(response.status, "not JSON");
  }
}

async function reason(response: Response): Promise<string> {
  try {
    // Or a proxy's own error, which is not the API's.
    const problem = (await response.json()) as Partial<Problem>;
    return problem.detail ?? problem.title ?? response.statusText;
  } catch {
    return response.statusText;
  }
}

export async function fetchStations(signal?: AbortSignal): Promise<Station[]> {
  const { features } = await get<StationCollection>("/api/v1/stations", signal);
  return features.map(({ properties }) => properties);
}

export async function fetchObservations(
  station: string,
  from: Date,
  to: Date,
  signal?: AbortSignal,
): Promise<Observation[]> {
  const query = new URLSearchParams({ from: from.toISOString(), to: to.toISOString() });
  const path = `/api/v1/stations/${encodeURIComponent(station)}/observations?${query}`;
  return (await get<Observations>(path, signal)).observations;
}

/** null while the station has no forecast yet: an expected state, not an error. */
export async function fetchForecast(
  station: string,
  signal?: AbortSignal,
): Promise<Forecast | null> {
  try {
    return await get<Forecast>(`/api/v1/stations/${encodeURIComponent(station)}/forecast`, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export async function fetchStation(id: string, signal?: AbortSignal): Promise<Station> {
  return (await get<StationFeature>(`/api/v1/stations/${encodeURIComponent(id)}`, signal)).properties;
}

/** null for a station that nobody knows. */
export async function fetchContacts(station: string, signal?: AbortSignal): Promise<Contacts | null> {
  try {
    return await get<Contacts>(`/api/v1/stations/${encodeURIComponent(station)}/contact`, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export const fetchContactList = (
  state: "unconfirmed" | "rejected",
  signal?: AbortSignal,
): Promise<ContactList> => get<ContactList>(`/api/v1/contacts?state=${state}`, signal);
