import { onScopeDispose, ref } from "vue";

/** Canvas cannot read CSS variables, so charts and map ask for their values here. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export const FONT = '"Instrument Sans Variable", system-ui, sans-serif';

/** Changes whenever the system turns to dark or to light. */
export function useThemeChanges() {
  const query = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = ref(query.matches);
  const update = () => (dark.value = query.matches);
  query.addEventListener("change", update);
  onScopeDispose(() => query.removeEventListener("change", update));
  return dark;
}
