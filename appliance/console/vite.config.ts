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
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // What asks for all the rest, and waits for none of it.
            { name: "early", test: /src\/(api\/(client|problem)|i18n\/language)\.ts/, priority: 4 },
            { name: "shared", test: /src\/(api|components|i18n)\/|src\/(app|format|theme)\./, minShareCount: 3 },
            // What every screen needs is one file, not forty: a box has few connections.
            {
              name: "base",
              test: /node_modules\/(react|react-dom|scheduler|react-router|i18next|react-i18next|@tanstack)\//,
              priority: 2,
            },
            {
              name: "patternfly",
              test: /node_modules\/@patternfly\/react-(core|styles|table|icons)\//,
              minShareCount: 3,
              priority: 1,
            },
          ],
        },
      },
    },
  },
  test: { include: ["src/**/*.test.ts"] },
});
