// `npm run browser`: each screen in the built console, at two widths, two themes and two languages, against the mock.
// Fails on what axe calls serious or critical, on errors of the page, on requests to elsewhere, and on a page wider
// than the window. SHOTS names a folder for pictures; ONLY takes screens whose name it contains, and VARIANTS is a
// pattern such as "390-dark".

import { axe, launch, logIn, openPage, overflows, picture, reset, serve, stretch } from "./lib.mjs";
import { SCREENS } from "./screens.mjs";

const folder = process.env.SHOTS;
const only = process.env.ONLY ?? "";
const variants = [1280, 390].flatMap((width) =>
  ["light", "dark"].flatMap((theme) => ["en", "zh"].map((language) => ({ width, theme, language }))),
);
const wanted = new RegExp(process.env.VARIANTS ?? "");
const chosen = variants.filter(({ width, theme, language }) => wanted.test(`${width}-${theme}-${language}`));

const stop = await serve();
const browser = await launch();
let failed = 0;
let passed = 0;
try {
  for (const variant of chosen) {
    for (const { name, options, login = true, go } of SCREENS.filter((screen) => screen.name.includes(only))) {
      const label = `${name}-${variant.width}-${variant.theme}-${variant.language}`;
      await reset(options);
      const { context, page, faults } = await openPage(browser, variant);
      try {
        if (login) await logIn(context);
        await go(page);
        await page.waitForTimeout(250);
        faults.push(...(await axe(page)));
        if (await overflows(page)) faults.push("the page is wider than the window");
        if (folder) {
          await stretch(page, variant.width);
          await picture(page, folder, label);
        }
      } catch (error) {
        faults.push(String(error).slice(0, 600));
        // The fault is what counts: a page that hangs gives no picture either.
        if (folder) await picture(page, folder, `${label}-failed`).catch(() => undefined);
      }
      await context.close();
      if (faults.length === 0) passed += 1;
      else {
        failed += 1;
        console.log(`${label}\n  ${faults.join("\n  ")}`);
      }
    }
  }
} finally {
  await browser.close();
  stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
