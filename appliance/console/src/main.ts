// What the first screen needs is asked for at once, before the code is there that says so: one after the other takes twice
// as long.

import { askEarly } from "./api/client";
import { initialLanguage, WORDS } from "./i18n/language";

void WORDS[initialLanguage()]();
askEarly("/box").catch(() => undefined);
askEarly("/session").then(
  // Who is in sees the console.
  ({ ok }) => (ok ? import("./shell") : undefined),
  () => undefined,
);
// No await here: what is imported imports this, and would wait for it.
void import("./root").then(({ start }) => start());
