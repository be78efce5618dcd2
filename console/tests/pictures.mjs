/** Pictures of every page of the played quarter: wide, light and in English, narrow, dark and in French.
 * Each page has data, fits its width and reports no error. Started by tests/console/test_pictures.py. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { account, api, pictures, settled, signedIn, visit } from "./harness.mjs";

const { items: legs } = await api(`/accounts/${account}/legs?limit=50&status=charged&kind=dial_out&order=amount`);
const leg = `leg?leg=${encodeURIComponent(legs[0].leg)}`;
const { items: bridges } = await api("/bridges");
const PAGES = [
  ...["overview", "usage", "usage?by=day&then=region", "legs", leg, "credits", "statement", "policy", "cards", "cards?tab=import", "parked", "status", "directory"],
  ...["conferences", "service-numbers", "bridges"].map((kind) => `directory?kind=${kind}`),
  `directory?kind=bridges&bridge=${bridges[0].id}`,
];
const README = { overview: "console-overview", [leg]: "console-leg" };

for (const [width, theme, locale] of [
  [1600, "light", "en-GB"],
  [360, "dark", "fr-FR"],
]) {
  test(`pictures at ${width} px, ${theme}, ${locale}`, async () => {
    const { page, context, wrong } = await signedIn({ width, theme, locale });
    for (const place of PAGES) {
      await visit(page, place);
      await settled(page);
      const name = place === leg ? "leg" : place.replace(/[^\w]+/g, "-");
      await page.screenshot({ path: `${pictures}/quarter-${name}-${width}-${theme}-${locale.slice(0, 2)}.png`, fullPage: true });
      if (README[place] && width === 1600 && locale === "en-GB") await page.screenshot({ path: `${pictures}/${README[place]}.png` });
      assert.equal(await page.$("[role=alert]"), null, place);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, `${place} is too wide at ${width}`);
    }
    assert.deepEqual(wrong, []);
    await context.close();
  });
}
