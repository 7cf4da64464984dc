// Light and dark: the system's choice unless one was made here.

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const STORAGE_KEY = "dolmen.theme";
const DARK_CLASS = "pf-v6-theme-dark";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function kept(): Theme {
  const value = localStorage.getItem(STORAGE_KEY);
  return value === "light" || value === "dark" ? value : "system";
}

let theme = kept();

function apply(): void {
  const isDark = theme === "dark" || (theme === "system" && dark.matches);
  document.documentElement.classList.toggle(DARK_CLASS, isDark);
}

/** Shows the page as chosen and follows the system from now on. */
export function startTheme(): void {
  dark.addEventListener("change", apply);
  apply();
}

export function setTheme(next: Theme): void {
  theme = next;
  if (next === "system") localStorage.removeItem(STORAGE_KEY);
  else localStorage.setItem(STORAGE_KEY, next);
  apply();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, () => theme);
}
