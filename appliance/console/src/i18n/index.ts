// The page's words. A language's file is loaded when it is used; English holds where another lacks a word, which a test
// keeps from happening.

import i18next from "i18next";
import { initReactI18next, useTranslation } from "react-i18next";
import type { Language } from "../api/types";
import type en from "./en.json";
import { initialLanguage, keepLanguage, WORDS } from "./language";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en };
    strictKeyChecks: true;
  }
}

export { LANGUAGES, languageChosen } from "./language";

async function load(language: Language): Promise<void> {
  if (i18next.hasResourceBundle(language, "translation")) return;
  const { default: words } = await WORDS[language]();
  i18next.addResourceBundle(language, "translation", words);
}

export async function startTranslations(): Promise<void> {
  await i18next.use(initReactI18next).init({
    resources: {},
    lng: initialLanguage(),
    fallbackLng: "en",
    // React escapes what it shows.
    interpolation: { escapeValue: false },
  });
  await setLanguage(initialLanguage(), false);
}

/** Shows the page in a language, and keeps the choice in this browser. */
export async function setLanguage(language: Language, keep = true): Promise<void> {
  await load(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  if (keep) keepLanguage(language);
}

/** The words, and the language for numbers and dates. */
export function useWords() {
  const { t, i18n } = useTranslation();
  return { t, language: i18n.language === "zh" ? "zh" : "en" };
}

/** A word whose key comes from the box, or a fallback where this page has no such word. */
export function wordOr(group: string, code: string, fallback: string, values: Record<string, string> = {}): string {
  const key = `${group}.${code}`;
  return i18next.exists(key) ? (i18next.t as (key: string, values: object) => string)(key, values) : fallback;
}
