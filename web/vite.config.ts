import vue from "@vitejs/plugin-vue";
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => {
  // In development the page calls its own origin and the dev server passes the calls on, so
  // the browser sees the same origins, cookies and policies as in production.
  const api = loadEnv(mode, process.cwd(), "VITE_").VITE_API_URL || "http://localhost:8000";
  const proxy = {
    "/api": { target: api, changeOrigin: true, ws: true },
    "/forecast": { target: api, changeOrigin: true },
  };
  return {
    plugins: [vue()],
    server: { port: 5173, proxy },
    preview: { port: 5173, proxy },
    build: {
      target: "es2022",
      // The Content-Security-Policy allows fonts and scripts from the page's origin only,
      // so nothing may be folded into data: addresses.
      assetsInlineLimit: 0,
      // MapLibre is one large file by nature; it is loaded by itself, after the list.
      chunkSizeWarningLimit: 1100,
    },
    worker: { format: "es" as const },
    test: { include: ["src/**/*.test.ts"], environment: "node" },
  };
});
