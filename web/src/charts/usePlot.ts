import "uplot/dist/uPlot.min.css";

import uPlot from "uplot";
import { onBeforeUnmount, onMounted, type Ref, ref, shallowRef, watch } from "vue";

import { type PlotFrame, plotOptions, type PlotSpec } from "./plot";
import { useThemeChanges } from "./theme";

const STEP_S = 3600;

interface PlotSource {
  host: Ref<HTMLElement | null>;
  spec: () => PlotSpec;
  data: () => uPlot.AlignedData;
  frame: () => PlotFrame;
  /** Anything else that a change of must redraw. */
  redrawOn?: () => unknown;
}

/** Owns one uPlot: its life, size, theme, and reading by mouse, touch and keyboard. */
export function usePlot({ host, spec, data, frame, redrawOn }: PlotSource) {
  const plot = shallowRef<uPlot | null>(null);
  /** Where the reader points, in seconds since 1970. */
  const readAt = ref<number | null>(null);
  const dark = useThemeChanges();
  const resize = new ResizeObserver(() => {
    if (host.value) plot.value?.setSize(sizeOf(host.value));
  });

  function build(): void {
    plot.value?.destroy();
    if (!host.value) return;
    const onRead = (at: number | null) => (readAt.value = at);
    const options = plotOptions(spec(), frame, sizeOf(host.value), onRead);
    plot.value = new uPlot(options, data(), host.value);
    listenToTouch(plot.value);
  }

  onMounted(() => {
    build();
    if (host.value) resize.observe(host.value);
  });
  onBeforeUnmount(() => {
    resize.disconnect();
    plot.value?.destroy();
  });
  watch(dark, build);
  watch([data, frame, () => redrawOn?.()], () => plot.value?.setData(data()));

  function point(at: number | null): void {
    const u = plot.value;
    if (!u) return;
    const left = at === null ? -10 : u.valToPos(at, "x");
    u.setCursor({ left, top: at === null ? -10 : 1 });
  }

  /** Left and right walk by the hour, from now on. */
  function onKey(event: KeyboardEvent): void {
    const step = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
    if (event.key === "Escape") point(null);
    if (step === undefined) return;
    event.preventDefault();
    const { from, to, now } = frame();
    point(Math.min(to, Math.max(from, (readAt.value ?? now) + step)));
  }

  return { readAt, onKey, leave: () => point(null) };
}

function sizeOf(host: HTMLElement): { width: number; height: number } {
  return { width: Math.max(200, host.clientWidth), height: Math.max(120, host.clientHeight) };
}

/** uPlot follows a mouse only; a finger that slides sideways must read values too. */
function listenToTouch(u: uPlot): void {
  const follow = (event: TouchEvent) => {
    const touch = event.touches[0];
    if (!touch) return;
    const box = u.over.getBoundingClientRect();
    u.setCursor({ left: touch.clientX - box.left, top: 1 });
  };
  u.over.addEventListener("touchstart", follow, { passive: true });
  u.over.addEventListener("touchmove", follow, { passive: true });
}
