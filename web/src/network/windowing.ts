import { computed, onBeforeUnmount, onMounted, type Ref, ref, watch } from "vue";

/** Small networks are drawn whole, so that the browser's own search finds every name. */
const DRAW_ALL_UP_TO = 150;
const SPARE_ROWS = 12;

export interface Slice {
  from: number;
  to: number;
}

/** Which rows stand inside the viewport, given how far above it the list begins. */
export function visibleSlice(count: number, rowPx: number, above: number, viewPx: number): Slice {
  if (count <= DRAW_ALL_UP_TO) return { from: 0, to: count };
  const from = Math.max(0, Math.floor(above / rowPx) - SPARE_ROWS);
  const to = Math.min(count, Math.ceil((above + viewPx) / rowPx) + SPARE_ROWS);
  return { from: Math.min(from, count), to: Math.max(to, Math.min(from, count)) };
}

/** Thousands of rows of one height, of which only those in view exist. */
export function useWindowing(list: Ref<HTMLElement | null>, count: Ref<number>, rowPx: number) {
  const above = ref(0);
  const viewPx = ref(1200);
  let asked = false;

  function measure(): void {
    asked = false;
    if (!list.value) return;
    above.value = Math.max(0, -list.value.getBoundingClientRect().top);
    viewPx.value = window.innerHeight;
  }
  function ask(): void {
    if (asked) return;
    asked = true;
    requestAnimationFrame(measure);
  }
  onMounted(() => {
    // Captured: the list may scroll by itself (laptop) or with the page (phone).
    window.addEventListener("scroll", ask, { capture: true, passive: true });
    window.addEventListener("resize", ask);
    ask();
  });
  onBeforeUnmount(() => {
    window.removeEventListener("scroll", ask, { capture: true });
    window.removeEventListener("resize", ask);
  });
  watch(count, ask);

  return computed(() => visibleSlice(count.value, rowPx, above.value, viewPx.value));
}
