/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** Where the API lives when it is not the page's own origin, e.g. http://localhost:8000 */
  readonly VITE_API_URL?: string;
}

declare module "maplibre-gl/dist/maplibre-gl-csp" {
  export * from "maplibre-gl";
  export { default } from "maplibre-gl";
}
