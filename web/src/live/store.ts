import { defineStore } from "pinia";
import { markRaw, ref, type ShallowRef, shallowRef } from "vue";

import { fetchForecast, fetchObservations, fetchStation, fetchStations, liveUrl } from "../api/rest";
import type { ServerFrame, Subscription } from "../api/types";
import { type ConnectionState, LiveConnection } from "./connection";
import { leavesGap } from "./gaps";
import {
  applyFrames,
  applyStations,
  changeRecord,
  HISTORY_MS,
  mergeForecast,
  mergeHistory,
  type Network,
  observedIn,
  withStation,
} from "./merge";

/** A hidden tab gathers frames for this long before it merges them: nobody is looking. */
const HIDDEN_FLUSH_MS = 2_000;

function scheduleFlush(flush: () => void): void {
  // Animation frames stop in hidden tabs, where the queue would grow without end.
  if (document.hidden) setTimeout(flush, HIDDEN_FLUSH_MS);
  else requestAnimationFrame(flush);
}

/**
 * What the page knows about the network. Records are replaced, never changed in place, and the
 * map is shallow: Vue has to watch one reference and not ten thousand observations.
 */
export const useLiveStore = defineStore("live", () => {
  const network = shallowRef<Network>(markRaw(new Map()));
  const connection = ref<ConnectionState>("connecting");
  /** Stations heard from in the newest flush. */
  const pulses = shallowRef<string[]>([]);
  /** Counts losses of continuity: whoever keeps history must read it again. */
  const gaps = ref(0);

  /** Subscriptions that had their first snapshot. */
  const begun = new Set<string>();
  const subscriptions = new Map<string, Subscription>();
  let queue: ServerFrame[] = [];
  let scheduled = false;

  function covers(id: string, station: string): boolean {
    const subscription = subscriptions.get(id);
    return subscription?.all === true || subscription?.stations?.includes(station) === true;
  }

  function flush(): void {
    scheduled = false;
    const frames = queue;
    queue = [];
    network.value = applyFrames(network.value, frames, covers);
    const observed = observedIn(frames);
    if (observed.length > 0) pulses.value = observed;
  }

  function receive(frame: ServerFrame): void {
    if (leavesGap(frame, begun)) gaps.value += 1;
    queue.push(frame);
    if (scheduled) return;
    scheduled = true;
    scheduleFlush(flush);
  }

  const client = new LiveConnection(liveUrl(), {
    onFrame: receive,
    onState: (state) => (connection.value = state),
  });
  window.addEventListener("online", () => client.retryNow());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) client.retryNow();
  });

  client.start();

  /** Returns the way to let go of it again. */
  function subscribe(subscription: Subscription): () => void {
    client.subscribe(subscription);
    subscriptions.set(subscription.id, subscription);
    return () => {
      subscriptions.delete(subscription.id);
      client.unsubscribe(subscription.id);
      begun.delete(subscription.id);
    };
  }

  return { network, connection, pulses, gaps, subscribe, ...reads(network) };
});

/** What is read once by REST and joined with what comes live. */
function reads(network: ShallowRef<Network>) {
  async function loadStations(signal?: AbortSignal): Promise<void> {
    network.value = applyStations(network.value, await fetchStations(signal));
  }

  async function loadStation(id: string, signal?: AbortSignal): Promise<void> {
    const station = await fetchStation(id, signal);
    network.value = changeRecord(network.value, id, (record) => withStation(record, station));
  }

  async function loadHistory(id: string, signal?: AbortSignal): Promise<void> {
    // Opened before the question is asked, so what arrives live meanwhile is kept.
    network.value = changeRecord(network.value, id, (r) => ({ ...r, history: r.history ?? [] }));
    const to = new Date(Date.now() + 600_000);
    const from = new Date(to.getTime() - HISTORY_MS / 2 - 2 * 3_600_000);
    const read = await fetchObservations(id, from, to, signal);
    network.value = changeRecord(network.value, id, (r) => ({
      ...r,
      history: mergeHistory(r.history ?? [], read),
      latest: r.latest ?? read.at(-1) ?? null,
    }));
  }

  async function loadForecast(id: string, signal?: AbortSignal): Promise<void> {
    const read = await fetchForecast(id, signal);
    network.value = changeRecord(network.value, id, (r) => ({
      ...r,
      forecast: mergeForecast(r.forecast, read),
    }));
  }

  function closeHistory(id: string): void {
    // Of a station that is gone nothing may come back with it.
    if (!network.value.has(id)) return;
    network.value = changeRecord(network.value, id, (r) => ({ ...r, history: null }));
  }

  return { loadStations, loadStation, loadHistory, loadForecast, closeHistory };
}
