// The languages of the page, and which one somebody reads. Nothing here needs more code than this, as the first screen
// waits for it.

import type { Language } from "../api/types";

const STORAGE_KEY = "dolmen.language";
export const LANGUAGES: { code: Language; name: string }[] = [
  { code: "en", name: "English" },
  { code: "zh", name: "简体中文" },
];

/** Loads the words of a language; the browser keeps what was loaded. */
export const WORDS: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import("./en.json"),
  zh: () => import("./zh.json"),
};

function isLanguage(value: unknown): value is Language {
  return value === "en" || value === "zh";
}

/** What was chosen in this browser, or else what the browser asks for. */
export function initialLanguage(): Language {
  const kept = localStorage.getItem(STORAGE_KEY);
  if (isLanguage(kept)) return kept;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

/** Whether somebody chose a language in this browser. */
export const languageChosen = () => localStorage.getItem(STORAGE_KEY) !== null;

export function keepLanguage(language: Language): void {
  localStorage.setItem(STORAGE_KEY, language);
}
