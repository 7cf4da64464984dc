import "@patternfly/react-core/dist/styles/base.css";
import "./style.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { queryClient } from "./api/session";
import { App, firstScreen } from "./app";
import { startTranslations } from "./i18n";
import { startTheme } from "./theme";

/** Longer than this nobody looks at an empty page: then it says that it loads. */
const EMPTY_MAX_MS = 500;

/** Shows the page. */
export async function start(): Promise<void> {
  startTheme();
  await startTranslations();
  // What failed is asked again, and told, by what needs it.
  const ready = firstScreen().catch(() => undefined);
  await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, EMPTY_MAX_MS))]);
  const root = document.getElementById("root");
  if (!root) throw new Error("index.html has no #root");
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <BrowserRouter>
          <App />
        </BrowserRouter>
      </QueryClientProvider>
    </StrictMode>,
  );
}
