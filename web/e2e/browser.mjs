import { chromium } from "playwright-core";

/** Software WebGL, so that the map is drawn on machines without a graphics card; no phoning home. */
const ARGUMENTS = [
  "--no-sandbox",
  "--no-first-run",
  "--disable-quic",
  "--disable-sync",
  "--disable-background-networking",
  "--disable-component-update",
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
];

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ARGUMENTS,
  });
}

/** A missing setting is one clear line and not a stack of timeouts. */
export function setting(name, fallback) {
  const value = process.env[name] ?? fallback;
  if (value === undefined) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value.replace(/\/+$/, "");
}

export const testid = (id) => `[data-testid="${id}"]`;
