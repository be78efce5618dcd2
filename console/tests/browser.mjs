/** The console in a browser, against a stack that runs: `node --test browser.mjs`, started by
 * tests/console/test_console.py, which seeds the stack. */
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";
import { account, address, api, base, becomes, closed, count, counts, figures, findings, heading, numbers, padded, pictures, plain, post, send, settled, signedIn, stack, strings, tab, value, visit } from "./harness.mjs";

const FIRST_LOAD_BYTES_MAX = 150 * 1024;
const SCRIPT = "<img src=x onerror=alert(1)>";
const PAGES = ["overview", "usage?by=organizer&then=region", "usage?by=day&time=answered", "legs", "credits", "statement", "policy", "cards", "cards?tab=import", "parked", "directory", "directory?kind=conferences", "directory?kind=service-numbers", "directory?kind=bridges&bridge=local", "status"];

test("the first load is small, and nothing comes from elsewhere", async () => {
  const { page, context, wrong, sizes } = await signedIn();
  await page.waitForSelector("figure.chart canvas");
  await page.waitForLoadState("load");
  const bytes = (await Promise.all(sizes)).reduce((all, each) => all + each, 0);
  console.log(`first load: ${bytes} bytes, ${sizes.length} files`);
  assert.ok(bytes > 10_000 && bytes < FIRST_LOAD_BYTES_MAX, `${bytes} bytes`);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a key is typed, stays in the tab's memory, and is kept only on request", async () => {
  const { page, context, wrong } = await tab();
  await page.goto(`${base}/`);
  await page.waitForSelector("input[name=key]");
  assert.deepEqual(await findings(page), []);
  await page.screenshot({ path: `${pictures}/sign-in.png` });
  await page.keyboard.press("Tab");
  while (!(await page.evaluate(() => document.activeElement?.getAttribute("name") === "key"))) await page.keyboard.press("Tab");
  await page.keyboard.type(stack.admin_key);
  await page.keyboard.press("Enter");
  await settled(page);
  await heading(page, "Overview");
  assert.ok(!page.url().includes(stack.admin_key));
  assert.equal(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]).includes("pm_")), false);
  await page.reload();
  await page.waitForSelector("input[name=key]");
  await page.fill("input[name=key]", stack.admin_key);
  await page.check("input[name=keep]");
  await page.click("button[type=submit]");
  await settled(page);
  await page.reload();
  await settled(page);
  await page.click("text=Sign out");
  await page.waitForSelector("input[name=key]");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.deepEqual(wrong, []);
  await page.fill("input[name=key]", "wrong-key-of-nobody");
  await page.click("button[type=submit]");
  await page.waitForSelector("[role=alert]:text('The API does not accept this key.')");
  await context.close();
});

test("a one-time sign-in is taken from the address and removed", async () => {
  const { page, context } = await signedIn();
  assert.equal(new URL(page.url()).hash, "");
  assert.equal(await page.evaluate(() => history.length <= 2 && !location.href.includes("key=")), true);
  await context.close();
});

for (const [width, theme] of [
  [1600, "light"],
  [360, "dark"],
]) {
  test(`every page at ${width} px, ${theme}: axe finds nothing, figures are the API's`, async () => {
    const opened = await signedIn({ width, theme });
    const { page, wrong, requests, answers, context } = opened;
    const leg = (await api(`/accounts/${account}/legs?limit=1&status=charged`)).items[0].leg;
    for (const place of [...PAGES, `leg?leg=${encodeURIComponent(leg)}`]) {
      requests.clear();
      await visit(page, place);
      const name = place.replace(/[^\w]+/g, "-").slice(0, 32);
      await page.screenshot({ path: `${pictures}/${name}-${width}-${theme}.png`, fullPage: width >= 600 });
      assert.deepEqual(await findings(page), [], place);
      assert.equal(await page.$("[role=alert]"), null, place);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${place} is ${overflow} px too wide`);
      const shown = await figures(page);
      // The calls of the overview cost more by the second: there the answers that the page got count.
      const bodies = place === "overview" ? await Promise.all(answers) : await Promise.all([...requests].map(async (path) => (await send("GET", path)).body));
      const known = strings(bodies);
      for (const [value, text] of shown) {
        assert.equal(plain(text), padded(value), place);
        assert.ok(known.has(value), `${place}: ${value} is not the API's`);
      }
      const amounts = numbers(bodies);
      for (const text of await counts(page)) assert.ok(amounts.has(text) || known.has(text), `${place}: ${text} is not the API's`);
    }
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

test("the overview shows balance, spend and calls as the API has them", async () => {
  const { page, context, wrong } = await signedIn();
  const found = await api(`/accounts/${account}`);
  const stat = (name) => value(page, `dl.stats .stat:has(dt:text-is("${name}")) data`);
  await becomes(async () => [await stat("Balance"), await stat("Held"), await stat("Available")], [found.balance, found.held, found.available]);
  const usage = await api(`/accounts/${account}/usage?time=answered`);
  await becomes(() => value(page, ".figures data"), usage.total.amount);
  const calls = await api(`/accounts/${account}/calls`);
  assert.ok(calls.items.length > 0);
  await becomes(() => count(page, "section:has(h2:text('Calls in progress')) tbody tr"), calls.items.length);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("what an organizer spent leads to legs, and a leg to its charge", async () => {
  const { page, context, wrong } = await signedIn({}, "usage");
  const organizer = "ken@contoso.example";
  const usage = await api(`/accounts/${account}/usage?group_by=organizer`);
  const expected = usage.items.find((each) => each.organizer === organizer);
  const row = page.locator("tbody tr", { hasText: organizer });
  await becomes(() => row.locator("data").getAttribute("value"), expected.amount);
  await row.locator("a").click();
  await heading(page, "Legs");
  await settled(page);
  assert.equal(new URL(page.url()).searchParams.get("organizer"), organizer);
  await becomes(() => page.$$eval("tbody tr td:nth-child(5)", (cells) => [...new Set(cells.map((each) => each.textContent))]), [organizer]);
  const link = page.locator("tbody tr td:first-child a").first();
  const leg = new URL(await link.getAttribute("href"), base).searchParams.get("leg");
  await link.click();
  await heading(page, "Leg");
  await settled(page);
  const charge = await api(`/accounts/${account}/legs/${encodeURIComponent(leg)}`);
  await becomes(() => page.textContent(".sentence"), charge.sentence);
  await becomes(() => value(page, ".figures data"), charge.amount);
  await page.goBack();
  await heading(page, "Legs");
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a leg is reversed or re-rated after a dry run", async () => {
  const { items } = await api(`/accounts/${account}/legs?limit=50&status=charged&order=amount`);
  const leg = items.find((each) => each.corrections.length === 0).leg;
  const entries = async () => (await api(`/accounts/${account}/entries?leg=${encodeURIComponent(leg)}`)).items;
  const { page, context, wrong } = await signedIn({}, `leg?leg=${encodeURIComponent(leg)}`);
  await page.click("text=Re-rate…");
  await page.click("text=Calculate");
  await page.waitForSelector("dialog .empty, dialog .banner");
  await page.keyboard.press("Escape");
  await page.click("text=Reverse…");
  await page.waitForSelector("dialog dl.facts");
  const foreseen = (await send("POST", `/api/v1/accounts/${account}/legs/${encodeURIComponent(leg)}/reversal`, { dry_run: true })).body;
  const lots = foreseen.lots.map((each) => each.amount);
  await becomes(() => page.$$eval("dialog data.money", (shown) => shown.map((each) => each.value)), [foreseen.entry.amount, ...lots, foreseen.balance_before, foreseen.balance]);
  assert.deepEqual((await entries()).map((each) => each.kind), ["debit"]);
  assert.deepEqual(await findings(page), []);
  await page.fill("dialog input[name=reason]", "Bad line");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("td:has-text('Reversal')");
  assert.deepEqual((await entries()).map((each) => each.kind), ["debit", "reversal"]);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a top-up is one entry, and the balance is the API's", async () => {
  const { page, context, wrong } = await signedIn({}, "credits");
  const before = (await api(`/accounts/${account}/entries?kind=top_up&limit=1000`)).items.length;
  await page.click("text=Top up…");
  await page.fill("dialog input[name=amount]", "12.34");
  await page.fill("dialog input[name=reference]", "PO <b>77</b>");
  assert.deepEqual(await findings(page), []);
  await page.click("dialog button[type=submit]");
  await closed(page);
  const entries = (await api(`/accounts/${account}/entries?kind=top_up&limit=1000`)).items;
  assert.equal(entries.length, before + 1);
  assert.equal(entries.at(-1).amount, "12.34");
  const { balance } = await api(`/accounts/${account}`);
  await becomes(() => value(page, ".stat data"), balance);
  await page.click("text=Top up…");
  await page.fill("dialog input[name=amount]", "0");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog [role=alert]:has-text('Request') code");
  assert.deepEqual(wrong.filter((each) => !each.includes("422")), []);
  await context.close();
});

test("a parked leg is corrected in place and charged", async () => {
  const { page, context, wrong } = await signedIn({}, "parked");
  const missing = async () => (await api(`/parked-legs?account=${account}&status=open&summary=true`)).by_reason.rate_missing;
  const open = await missing();
  await page.click(`button:has-text("Rate missing")`);
  await settled(page);
  await page.click("text=Correct… >> nth=0");
  const seconds = await page.inputValue("dialog input[name=talk_seconds]");
  await page.fill("dialog input[name=talk_seconds]", "an hour");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog [role=alert] code:has-text('talk_seconds')");
  await page.fill("dialog input[name=talk_seconds]", seconds);
  await page.fill("dialog input[name=to]", "+442079460123");
  assert.deepEqual(await findings(page), []);
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog .banner.good data");
  const amount = await value(page, "dialog .banner.good data");
  assert.ok(Number(amount) > 0);
  await page.click("dialog a:has-text('Show the leg')");
  await heading(page, "Leg");
  await becomes(() => value(page, ".figures data"), amount);
  await becomes(missing, open - 1);
  assert.deepEqual(wrong.filter((each) => !each.includes("422")), []);
  await context.close();
});

test("many parked legs are shown page by page, and replayed together", async () => {
  const { page, context, wrong } = await signedIn({}, "parked?all=true");
  const { total } = await api("/parked-legs?status=open&summary=true");
  await page.click("text=Next page");
  await page.waitForFunction(() => location.search.includes("cursor="));
  await settled(page);
  await becomes(() => count(page, "tbody tr"), Math.min(25, total - 25));
  await page.selectOption("select >> nth=2", "one");
  await settled(page);
  const own = (await api(`/parked-legs?account=${account}&status=open&summary=true`)).total;
  await page.click("text=Replay many…");
  const notice = page.waitForSelector(`.notice:has-text("still parked ${own}")`);
  await page.click("dialog button[type=submit]");
  await notice;
  await closed(page);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a deck is imported by clicking on its columns", async () => {
  const { page, context, wrong } = await signedIn({}, "cards?tab=import");
  const deck = ["Land;Netz;Vorwahl;Preis;x", ...Array.from({ length: 30 }, (_, index) => `United Kingdom;${index ? `Area ${index}` : ""};44${index ? 1000 + index : ""};0,0${20 + index};`)].join("\n");
  await page.setInputFiles("input[type=file]", { name: "deck.csv", mimeType: "text/csv", buffer: Buffer.from(deck) });
  await becomes(() => count(page, "table.preview tbody tr"), 20);
  for (const [meaning, column] of [
    ["Prefix", "Vorwahl"],
    ["Destination", "Land"],
    ["Destination", "Netz"],
    ["Price", "Preis"],
  ]) {
    await page.click(`.chips button:has-text("${meaning}") >> nth=0`);
    await page.click(`table.preview th button:has-text("${column}")`);
  }
  await page.fill("input[name=card]", "carrier");
  await page.fill("#effective", "2026-01-01T00:00");
  assert.deepEqual(await findings(page), []);
  const dryRun = page.waitForResponse((answer) => answer.url().includes("dry_run=true"));
  await page.click("text=Check without storing");
  const { effect } = await (await dryRun).json();
  assert.ok(effect.legs > 0 && effect.account === account);
  await page.waitForSelector("h3:has-text('by these prices')");
  const inMoney = () => page.$$eval("h3:has-text('by these prices') ~ dl data", (shown) => shown.map((each) => each.value));
  await becomes(inMoney, [effect.before, effect.after, effect.difference]);
  assert.equal((await send("GET", "/api/v1/rate-cards/carrier")).status, 404);
  await page.click("button:text('Publish')");
  await page.waitForSelector("text=Published.");
  const stored = await api("/rate-cards/carrier");
  assert.equal(stored.versions[0].rate_count, 30);
  await becomes(inMoney, [effect.before, effect.after, effect.difference]);
  await page.screenshot({ path: `${pictures}/import.png`, fullPage: true });
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a number is tried: every check is shown", async () => {
  const { page, context, wrong } = await signedIn({}, "policy");
  await page.fill("input[name=to]", "+442079460123");
  await page.fill("input[name=organizer]", "ken@contoso.example");
  await page.click("button:text('Try')");
  await page.waitForSelector("ol.checks li >> nth=10");
  await page.click("button:text('Calculate')");
  await page.waitForSelector("text=Saved");
  assert.deepEqual(wrong, []);
  await context.close();
});

test("an organizer is added, changed and deleted; a link reproduces the view", async () => {
  const { page, context, wrong } = await signedIn({}, "directory");
  await page.click("text=Add…");
  await page.fill("dialog input[name=id]", "zoe@contoso.example");
  await page.click("dialog button[type=submit]");
  await closed(page);
  await page.fill("input[name=prefix]", "zoe");
  await page.click("button:text('Search')");
  await becomes(() => count(page, "tbody tr"), 1);
  const other = await signedIn({}, new URL(page.url()).pathname.split("/").pop() + new URL(page.url()).search);
  await becomes(() => count(other.page, "tbody tr"), 1);
  await other.context.close();
  await page.click("tbody button");
  await page.fill("dialog input[name=cost_center]", "cc-9");
  await page.click("dialog button[type=submit]");
  await closed(page);
  assert.equal((await api(`/accounts/${account}/organizers/zoe@contoso.example`)).cost_center, "cc-9");
  await page.click("tbody button");
  await page.click("dialog button:text('Delete')");
  await page.waitForSelector("text=No organizer is registered.");
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a CSV is loaded after a dry run, all rows or none", async () => {
  const { page, context, wrong } = await signedIn({}, "directory?kind=conferences");
  const path = `/accounts/${account}/conferences`;
  const before = (await api(`${path}?limit=1000`)).items.length;
  const load = async (rows) => {
    await page.setInputFiles("dialog input[type=file]", { name: "conferences.csv", mimeType: "text/csv", buffer: Buffer.from(["conference,organizer", ...rows, ""].join("\n")) });
    await page.click("dialog button:text('Check without storing')");
  };
  await page.click("text=Load a CSV…");
  await load(["csv-1,ken@contoso.example", "csv-2,"]);
  await page.waitForSelector("dialog [role=alert] code:has-text('/lines/3')");
  await load(["csv-1,ken@contoso.example", "csv-2,maria@contoso.example", "3001,ken@contoso.example"]);
  await page.waitForSelector("dialog .banner:has-text('Created: 2')");
  assert.deepEqual(await findings(page), []);
  assert.equal((await api(`${path}?limit=1000`)).items.length, before);
  await page.click("dialog button:text-is('Load')");
  await closed(page);
  assert.equal((await api(`${path}?limit=1000`)).items.length, before + 2);
  await page.waitForSelector("tbody tr:has-text('csv-2')");
  assert.deepEqual(wrong.filter((each) => !each.includes("422")), []);
  await context.close();
});

test("a bridge shows its health, tries a record, and its recipe has its own values", async () => {
  const { page, context, wrong } = await signedIn({}, `directory?kind=bridges&bridge=${stack.bridge.name}`);
  const { bridges } = await api("/status");
  const health = bridges.find((each) => each.bridge === stack.bridge.name);
  const fact = (name) => page.locator(`dt:text-is("${name}") + dd`).first().textContent();
  await becomes(async () => [await fact("Legs, 24 h"), await fact("Parked, 24 h")], [String(health.legs_24h), String(health.parked_24h)]);
  await page.waitForSelector(`pre:has-text("${base}/api/v1/bridges/${stack.bridge.name}/call-ended")`);
  const record = { leg_id: "tried-1", conference_id: "3001", kind: "dial_out", from: "+33170180042", to: "+442079460123", started_at: "2026-11-20T10:00:00Z", answered_at: "2026-11-20T10:00:05Z", ended_at: "2026-11-20T10:02:05Z", account };
  await page.fill("#record", JSON.stringify(record));
  await page.click("button:text-is('Try')");
  await page.waitForSelector("ol.checks li:has-text('Rated')");
  assert.equal((await send("GET", `/api/v1/accounts/${account}/legs/local~tried-1`)).status, 404);
  for (const [dialect, scheme] of [["freeswitch", "basic"], ["livekit", "livekit"], ["zoom", "zoom"]]) {
    const name = `recipe-${dialect}`;
    await send("PUT", `/api/v1/bridges/${name}`, { dialect, accounts: [account], default_account: account, auth: { scheme, secrets: ["a-secret-of-32-characters-at-least"], ...(scheme === "zoom" ? {} : { username: "user-1" }) } });
    await visit(page, `directory?kind=bridges&bridge=${name}`);
    await page.waitForSelector(`pre:has-text("/api/v1/bridges/${name}/call-ended")`);
    assert.ok(!(await page.content()).includes("a-secret-of-32"));
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a hostile name is text, and 200 right-to-left characters stay in their place", async () => {
  const { page, context, wrong } = await signedIn({ width: 360 }, `legs?conference=${encodeURIComponent(SCRIPT)}`);
  await becomes(
    async () => {
      const names = await page.$$eval("tbody bdi", (found) => found.map((each) => each.textContent));
      return [names.includes(SCRIPT), names.some((each) => each.length === 200)];
    },
    [true, true],
  );
  assert.equal(await page.$("main img"), null);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  assert.deepEqual(await findings(page), []);
  await page.screenshot({ path: `${pictures}/hostile-360.png` });
  assert.deepEqual(wrong, []);
  await context.close();
});

test("an error shows the problem's detail and the request id", async () => {
  const { page, context } = await signedIn({}, "leg?leg=local~nothing");
  const text = await page.textContent("main [role=alert]");
  const { body } = await send("GET", `/api/v1/accounts/${account}/legs/local~nothing`);
  assert.ok(text.includes(body.detail) && text.includes(body.code));
  assert.match(text, /[0-9a-f]{8}-[0-9a-f]{4}-/);
  await context.close();
});

test("what a role may not do is not offered, and says why", async () => {
  const made = await send("POST", "/api/v1/api-keys", { name: "reads", roles: ["reader"], accounts: [account] });
  const { page, context, wrong } = await signedIn({}, "credits", made.body.key);
  await page.waitForSelector(".page-head .denied:text('Top up…: needs the role finance')");
  assert.equal(await page.$("button:text('Top up…')"), null);
  assert.deepEqual(await findings(page), []);
  await page.goto(address("status", made.body.key));
  await settled(page);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("French: texts and figures", async () => {
  const { page, context, wrong } = await signedIn({ locale: "fr-FR" }, "credits");
  await heading(page, "Crédits");
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  const [exact, shown] = (await figures(page))[0];
  assert.equal(shown.replaceAll("\u202f", "").replace(",", "."), padded(exact));
  assert.deepEqual(await findings(page), []);
  await page.click("text=English");
  await heading(page, "Credits");
  assert.deepEqual(wrong, []);
  await context.close();
});

/** What a bridge hears on its control URL: signed signals, of which each `call.end` gives its call back. */
async function hangingUp() {
  const secret = randomBytes(24);
  const ended = new Map();
  const refused = [];
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", async () => {
      const text = Buffer.concat(parts).toString();
      const named = (name) => request.headers[`webhook-${name}`];
      const expected = `v1,${createHmac("sha256", secret).update(`${named("id")}.${named("timestamp")}.${text}`).digest("base64")}`;
      const signal = JSON.parse(text);
      if (!String(named("signature")).split(" ").includes(expected)) refused.push(signal);
      else if (signal.type === "call.end") {
        ended.set(signal.data.authorization, signal.data.reason);
        await post(`dial-outs/${encodeURIComponent(signal.data.authorization)}/release`, { authorization: signal.data.authorization, release: true });
      }
      response.writeHead(204).end();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const control = { url: `http://127.0.0.1:${server.address().port}/control`, secrets: [`whsec_${secret.toString("base64")}`] };
  const set = async (value) => assert.equal((await send("PATCH", `/api/v1/bridges/${stack.bridge.name}`, { control: value })).status, 200);
  await set(control);
  const close = async () => {
    await set(null);
    await new Promise((resolve) => server.close(resolve));
  };
  return { ended, refused, close };
}

test("dial-out is stopped: the bridge gets a signed call.end for each call, and the calls end", async (each) => {
  const bridge = await hangingUp();
  each.after(bridge.close);
  const dialled = await post("dial-outs", { to: "+442079460123", conference_id: "3001", requested_seconds: 900 });
  assert.equal(dialled.body.decision, "allow");
  const { page, context, wrong } = await signedIn();
  const calls = (await api(`/accounts/${account}/calls`)).items.map((call) => call.authorization);
  assert.ok(calls.includes(dialled.body.authorization) && calls.length > 1);
  await page.click("button:text('Stop dial-out')");
  await page.fill("dialog input[name=reason]", "Strange calls");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("text=Dial-out is stopped:");
  assert.equal((await api(`/accounts/${account}/dial-out-policy/state`)).stopped, true);
  const denied = await post("dial-outs", { to: "+442079460123", conference_id: "3001" });
  assert.equal(denied.body.reason, "dial_out_stopped");
  await becomes(() => [...bridge.ended].sort(), calls.map((call) => [call, "dial_out_stopped"]).sort());
  assert.deepEqual(bridge.refused, []);
  await page.waitForSelector("text=No call is in progress.");
  assert.deepEqual((await api(`/accounts/${account}/calls`)).items, []);
  await page.click("button:text('Restart dial-out')");
  await page.waitForSelector("button:text('Stop dial-out')");
  assert.equal((await api(`/accounts/${account}/dial-out-policy/state`)).stopped, false);
  assert.deepEqual(wrong, []);
  await context.close();
});
