import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { mockBox } from "./dev/mock.ts";

export default defineConfig({
  // The mock serves `vite` and `vite preview` alone: nothing of it is in a build.
  plugins: [react(), mockBox()],
  build: {
    target: "es2023",
    // A data: URI would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  test: { include: ["src/**/*.test.ts"] },
});
