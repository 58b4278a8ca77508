import { onBeforeUnmount, type Ref, shallowRef, watch } from "vue";

const EVERY_MS = 5_000;

interface Polled<T> {
  value: Readonly<Ref<T | null>>;
  /** The reason of the last failure, or null. What was read before it stays. */
  failure: Readonly<Ref<string | null>>;
}

/** What `read` gives for `key`, read again and again while the page is looked at. */
export function usePolled<T>(key: () => string, read: (key: string, signal: AbortSignal) => Promise<T>): Polled<T> {
  const value = shallowRef<T | null>(null);
  const failure = shallowRef<string | null>(null);
  let stop = () => {};
  watch(
    key,
    (now) => {
      stop();
      value.value = null;
      failure.value = null;
      stop = poll(
        (signal) => read(now, signal),
        (found) => {
          value.value = found;
          failure.value = null;
        },
        (reason) => (failure.value = reason),
      );
    },
    { immediate: true },
  );
  onBeforeUnmount(() => stop());
  return { value, failure };
}

function poll<T>(
  read: (signal: AbortSignal) => Promise<T>,
  found: (value: T) => void,
  failed: (reason: string) => void,
): () => void {
  const gone = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  async function look(): Promise<void> {
    if (!document.hidden) {
      try {
        const value = await read(gone.signal);
        if (!gone.signal.aborted) found(value);
      } catch (error) {
        if (!gone.signal.aborted) failed(error instanceof Error ? error.message : String(error));
      }
    }
    if (!gone.signal.aborted) timer = setTimeout(() => void look(), EVERY_MS);
  }
  void look();
  return () => {
    gone.abort();
    clearTimeout(timer);
  };
}
