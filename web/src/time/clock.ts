import { type Ref, ref } from "vue";

const TICK_MS = 1_000;
const now = ref(Date.now());
let running = false;

function start(): void {
  running = true;
  // A hidden tab needs no ticking ages; it catches up the moment it is seen.
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, TICK_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) now.value = Date.now();
  });
}

/** The page's one clock, so that all ages tick together. */
export function useNow(): Readonly<Ref<number>> {
  if (!running) start();
  return now;
}
