import { onBeforeUnmount, onMounted, ref, watch } from "vue";

import { ApiError } from "../api/rest";
import { backoffDelay } from "../live/backoff";
import { useLiveStore } from "../live/store";

/** Loads the stations and keeps them live while the view is open. */
export function useNetwork() {
  const store = useLiveStore();
  const loaded = ref(store.network.size > 0);
  const failure = ref<string | null>(null);
  const gone = new AbortController();
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function load(): Promise<void> {
    clearTimeout(timer);
    try {
      await store.loadStations(gone.signal);
      loaded.value = true;
      failure.value = null;
      attempt = 0;
    } catch (error) {
      if (gone.signal.aborted) return;
      failure.value = error instanceof ApiError ? error.message : String(error);
      timer = setTimeout(() => void load(), backoffDelay(attempt));
      attempt += 1;
    }
  }

  let release: (() => void) | undefined;
  onMounted(() => {
    void load();
    // Without forecasts: for a large network they are megabytes that this view doesn't show.
    release = store.subscribe({ id: "network", all: true, channels: ["observation", "station"] });
  });
  onBeforeUnmount(() => {
    gone.abort();
    clearTimeout(timer);
    release?.();
  });
  // The socket often knows first that the server is back.
  watch(
    () => store.connection,
    (state) => {
      if (state === "live" && failure.value !== null) void load();
    },
  );
  return { store, loaded, failure, retry: load };
}
