import { onScopeDispose, type Ref, type ShallowRef, shallowRef, watch } from "vue";

/**
 * The same value, at most every `ms()`. Sorting and recolouring a large network at each of a
 * thousand updates a second would leave no time for the reader's scrolling.
 */
export function throttled<T>(source: Ref<T>, ms: () => number): Readonly<ShallowRef<T>> {
  const shown = shallowRef(source.value) as ShallowRef<T>;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = 0;
  watch(source, () => {
    if (timer !== undefined) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        last = Date.now();
        shown.value = source.value;
      },
      Math.max(0, last + ms() - Date.now()),
    );
  });
  onScopeDispose(() => clearTimeout(timer));
  return shown;
}
