/** A month of 100,000 legs and 10,000 parked legs: every page, in every order and by every filter,
 * shows the expected legs and figures. Started by tests/console/test_hostile.py; STACK has `month`,
 * `legs`, `parked`, `report`, and the `expected` groups of usage and lists of legs. The time of each
 * page is written to `report`. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { account, api, becomes, count, figures, findings, padded, pictures, plain, send, settled, signedIn, stack, value, visit } from "./harness.mjs";

const { month, legs, parked, expected } = stack;
const PAGE = 50;
const grouped = (number) => number.toLocaleString("en");
const milliseconds = {};

after(() => writeFileSync(stack.report, JSON.stringify(milliseconds, null, 1)));

/** Shows a page that is loaded already, and notes how long that took. */
async function timed(page, place, width) {
  const started = performance.now();
  await visit(page, place);
  const took = Math.round(performance.now() - started);
  const name = `${place.replace(`month=${month}`, "month=…")} ${width}`;
  milliseconds[name] = took;
  console.log(`${String(took).padStart(6)} ms  ${name}`);
}

const isNarrow = async (page) => (await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0;

/** The legs of a page and of the API are the expected ones, with the same amounts. */
async function listed(page, query, wanted) {
  const { items, next } = await api(`/accounts/${account}/legs?month=${month}${query}&limit=${PAGE}`);
  assert.deepEqual(items.map((each) => each.leg), wanted.legs, query);
  assert.equal(Boolean(next), wanted.more, query);
  await becomes(() => page.$$eval("tbody a[href*='leg?']", (links) => links.map((each) => new URL(each.href).searchParams.get("leg"))), wanted.legs, query);
  await becomes(() => page.$$eval("tbody data", (shown) => shown.map((each) => each.value)), items.map((each) => each.amount), query);
}

for (const width of [1600, 360]) {
  test(`usage of a month of ${legs} legs at ${width} px`, async () => {
    const { page, context, wrong } = await signedIn({ width });
    await visit(page, `usage?month=${month}`); // loads the code of the page
    for (const [by, first] of Object.entries(width === 1600 ? expected.usage : {})) {
      for (const time of by.includes(",") ? ["", "&time=answered"] : [""]) {
        await timed(page, `usage?month=${month}&by=${by.replace(",", "&then=")}${time}`, width);
        const usage = await api(`/accounts/${account}/usage?month=${month}&group_by=${by}&limit=500${time}`);
        assert.equal(usage.total.legs, legs);
        assert.equal(usage.total.amount, expected.total);
        assert.deepEqual(usage.items.slice(0, first.length).map((each) => [...by.split(",").map((name) => each[name]), each.legs, each.amount]), first, by);
        await page.waitForSelector(`tfoot:has-text("${grouped(legs)}")`);
        await becomes(() => value(page, "tfoot data"), expected.total);
      }
    }
    await timed(page, `usage?month=${month}&by=organizer`, width);
    assert.ok(await isNarrow(page));
    await page.click("tbody a[href*='organizer='] >> nth=0");
    await page.waitForFunction(() => location.pathname.endsWith("/legs"));
    await settled(page);
    const [[organizer, its]] = expected.usage.organizer;
    assert.equal(new URL(page.url()).searchParams.get("organizer"), organizer);
    await becomes(() => count(page, "tbody tr"), Math.min(its, PAGE));
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test(`lists of a month of ${legs} legs at ${width} px`, async () => {
    const { page, context, wrong } = await signedIn({ width });
    await visit(page, "legs?status=parked&number=%2B49123"); // loads the code of the page
    const lists = Object.entries(expected.lists);
    for (const [query, wanted] of width === 1600 ? lists : lists.slice(0, 1)) {
      await timed(page, `legs?month=${month}${query}`, width);
      await listed(page, query, wanted);
    }
    assert.ok(await isNarrow(page));
    await visit(page, `legs?month=${month}&order=amount`);
    await page.click("text=Next page");
    await page.waitForFunction(() => location.search.includes("cursor="));
    await settled(page);
    await becomes(() => page.$$eval("tbody a[href*='leg?']", (links) => links.map((each) => new URL(each.href).searchParams.get("leg"))), expected.second);
    await timed(page, `leg?leg=${encodeURIComponent(expected.second[0])}`, width);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test(`an account of ${legs} legs at ${width} px`, async () => {
    const { page, context, wrong } = await signedIn({ width });
    for (const place of ["overview", "credits", `credits?month=${month}`, `statement?month=${month}`, "policy"]) {
      await visit(page, place);
      await visit(page, place === "policy" ? "status" : "policy");
      await timed(page, place, width);
      for (const [exact, shown] of await figures(page)) assert.equal(plain(shown), padded(exact));
      assert.ok(await isNarrow(page), place);
      assert.deepEqual(await findings(page), []);
    }
    await visit(page, `statement?month=${month}`);
    const open = await api(`/accounts/${account}/statements/${month}`);
    assert.equal(open.charges.count, legs);
    assert.equal(open.charges.amount, expected.total);
    assert.ok(open.re_adds);
    await page.waitForSelector(`data[value="${open.closing}"]`);
    await page.screenshot({ path: `${pictures}/hostile-month-${width}.png` });
    assert.equal((await send("POST", "/test/close-month")).status, 204);
    await timed(page, `statement?month=${month}&closed`, width);
    assert.deepEqual(await api(`/accounts/${account}/statements/${month}`), open);
    await page.waitForSelector(`data[value="${open.closing}"]`);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test(`${parked} parked legs at ${width} px`, async () => {
    const { page, context, wrong } = await signedIn({ width });
    for (const place of ["parked", "parked?all=true", "parked?reason=rate_missing"]) {
      await visit(page, place);
      await visit(page, "policy");
      await timed(page, place, width);
    }
    for (const order of ["", "&order=oldest", "&order=amount", "&number=%2B999310000001"]) {
      await timed(page, `legs?status=parked${order}`, width);
      await becomes(() => count(page, "tbody tr"), order.includes("number") ? 1 : PAGE);
    }
    await visit(page, "parked");
    const { total, by_reason: reasons } = await api(`/parked-legs?account=${account}&status=open&summary=true`);
    assert.equal(total, parked);
    for (const each of [total, ...Object.values(reasons)]) await page.waitForSelector(`.chips b:text-is("${grouped(each)}")`);
    await becomes(() => count(page, "tbody tr"), 25);
    await timed(page, "status", width);
    await page.waitForSelector(`.stat:has-text("${grouped(parked)}")`);
    assert.ok(await isNarrow(page));
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

test("the savings of a stricter policy in a month of many legs", async () => {
  const { page, context, wrong } = await signedIn({}, "policy");
  const form = page.locator("form:has(select[name=stricter])");
  await form.locator("select[name=stricter]").selectOption({ index: 1 });
  const started = performance.now();
  const answered = page.waitForResponse((response) => response.url().endsWith("/dial-out-policy/what-if"));
  await form.locator("button[type=submit]").click();
  assert.equal((await answered).status(), 200);
  milliseconds["policy, savings 1600"] = Math.round(performance.now() - started);
  console.log(`${String(milliseconds["policy, savings 1600"]).padStart(6)} ms  policy, savings`);
  assert.deepEqual(wrong, []);
  await context.close();
});
