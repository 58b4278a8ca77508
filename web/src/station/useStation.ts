import { computed, onBeforeUnmount, type Ref, ref, watch } from "vue";

import { ApiError } from "../api/rest";
import { backoffDelay } from "../live/backoff";
import { useLiveStore } from "../live/store";

type Phase = "loading" | "ready" | "unknown" | "unreachable";

interface Reading {
  phase: Ref<Phase>;
  /** Why the history is missing, when the rest could be read. */
  historyFailure: Ref<string | null>;
}

type Store = ReturnType<typeof useLiveStore>;

/** Everything of one station, read once and then kept live; read again when a gap was left. */
export function useStation(id: () => string) {
  const store = useLiveStore();
  const reading: Reading = { phase: ref("loading"), historyFailure: ref(null) };
  const record = computed(() => store.network.get(id()) ?? null);
  let stop = () => {};

  watch(
    id,
    (station) => {
      stop();
      reading.phase.value = "loading";
      reading.historyFailure.value = null;
      stop = follow(store, station, reading);
    },
    { immediate: true },
  );
  onBeforeUnmount(() => stop());
  return { record, ...reading };
}

function follow(store: Store, station: string, { phase, historyFailure }: Reading): () => void {
  const gone = new AbortController();
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function retry(): void {
    timer = setTimeout(() => void load(), backoffDelay(attempt));
    attempt += 1;
  }

  async function load(): Promise<void> {
    clearTimeout(timer);
    try {
      await store.loadStation(station, gone.signal);
    } catch (error) {
      if (gone.signal.aborted) return;
      const missing = error instanceof ApiError && error.status === 404;
      // Asked again even when unknown: its first observation may be on its way.
      phase.value = missing ? "unknown" : "unreachable";
      retry();
      return;
    }
    phase.value = "ready";
    const failure = await readRest(store, station, gone.signal);
    if (gone.signal.aborted) return;
    historyFailure.value = failure;
    if (failure === null) attempt = 0;
    else retry();
  }

  const release = store.subscribe({
    id: "station",
    stations: [station],
    channels: ["observation", "forecast", "station"],
  });
  const unwatch = watch(
    () => store.gaps,
    () => void load(),
  );
  // Removed while it is shown: whoever asks for it now is told that there is no such station.
  const unwatchRemoval = watch(
    () => store.network.has(station),
    (there) => {
      if (!there) void load();
    },
  );
  void load();
  return () => {
    gone.abort();
    clearTimeout(timer);
    release();
    unwatch();
    unwatchRemoval();
    store.closeHistory(station);
  };
}

/** The reason of the first failure, or null. */
async function readRest(store: Store, station: string, signal: AbortSignal): Promise<string | null> {
  const results = await Promise.allSettled([
    store.loadHistory(station, signal),
    store.loadForecast(station, signal),
  ]);
  const failed = results.find((result) => result.status === "rejected");
  if (!failed) return null;
  return failed.reason instanceof Error ? failed.reason.message : String(failed.reason);
}
