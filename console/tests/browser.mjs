/** The console in a browser, against a stack that runs: `node --test browser.mjs`, started by
 * tests/console/test_console.py, which seeds the stack. STACK: JSON with `base_url`, `admin_key`,
 * `bridge` and `account`; CHROMIUM: the browser; SCREENSHOTS: folder of the pictures. */
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const stack = JSON.parse(process.env.STACK);
const { account } = stack;
const base = stack.base_url;
const pictures = process.env.SCREENSHOTS;
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const FIRST_LOAD_BYTES_MAX = 150 * 1024;
const SECONDS_MAX = 20_000;
const ANSWER_MS_MAX = 2000;
const SCRIPT = "<img src=x onerror=alert(1)>";
const PAGES = ["overview", "usage?by=organizer&then=region", "usage?by=day&time=answered", "legs", "credits", "statement", "policy", "cards", "cards?tab=import", "parked", "directory", "directory?kind=conferences", "directory?kind=service-numbers", "directory?kind=bridges&bridge=local", "status"];

let browser;
before(async () => {
  mkdirSync(pictures, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
});
after(() => browser?.close());

/** A tab that records what must not happen. `requests` are the GETs of the API that it sent. */
async function tab({ width = 1600, theme = "light", locale = "en-GB", zone = "Europe/Paris" } = {}) {
  const context = await browser.newContext({ viewport: { width, height: width < 600 ? 800 : 1000 }, colorScheme: theme, locale, timezoneId: zone, acceptDownloads: true, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(SECONDS_MAX);
  const wrong = [];
  const requests = new Set();
  const sizes = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["blob:", "data:"].includes(url.protocol) && url.origin !== base) wrong.push(`a request to ${url.origin}`);
    if (request.method() === "GET" && url.pathname.startsWith("/api/")) requests.add(url.pathname + url.search);
  });
  page.on("response", async (response) => {
    if (!response.url().includes("/console/")) return;
    sizes.push(Number((await response.allHeaders())["content-length"] ?? 0));
  });
  return { context, page, wrong, requests, sizes };
}

async function signedIn(options, place = "overview", key = stack.admin_key) {
  const opened = await tab(options);
  await opened.page.goto(address(place, key));
  await settled(opened.page);
  return opened;
}

function address(place, key) {
  const [page, query = ""] = place.split("?");
  const fields = new URLSearchParams(query);
  fields.set("account", account);
  return `${base}/console/${page}?${fields}${key ? `#key=${key}` : ""}`;
}

/** The page shows its data: a heading, and nothing that loads. */
async function settled(page) {
  await page.waitForSelector("main h1");
  await page.waitForFunction(() => !document.querySelector(".skeleton, .is-stale"));
}

async function send(method, path, body, headers = {}) {
  const answer = await fetch(base + path, {
    method,
    headers: { authorization: `Bearer ${stack.admin_key}`, ...(body ? { "content-type": "application/json" } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
}

const api = async (path) => {
  const { status, body } = await send("GET", `/api/v1${path}`);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
};

/** A signed post of the bridge (Standard Webhooks). */
async function post(path, body) {
  const text = JSON.stringify(body);
  const [id, at] = [`msg-${randomUUID()}`, Math.floor(Date.now() / 1000)];
  const key = Buffer.from(stack.bridge.secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${at}.${text}`).digest("base64");
  const answer = await fetch(`${base}/api/v1/bridges/${stack.bridge.name}/${path}`, {
    method: "POST",
    body: text,
    headers: { "content-type": "application/json", "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": `v1,${signature}` },
  });
  return { status: answer.status, body: await answer.json() };
}

async function eventually(probe) {
  const deadline = Date.now() + SECONDS_MAX;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < deadline, `it never came: ${probe}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function findings(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map((each) => `${each.id}: ${each.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ").slice(0, 400)}`);
}

/** Every figure of money on the page: its value, and what is shown. */
const figures = (page) => page.$$eval("data.money", (found) => found.map((each) => [each.value, each.firstChild && [...each.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent).join("")]));

function plain(shown) {
  return shown.replace("\u2212", "-").replace(/^\+/, "").replaceAll(",", "");
}

function strings(value, found = new Set()) {
  if (typeof value === "string") found.add(value);
  else if (value && typeof value === "object") for (const each of Object.values(value)) strings(each, found);
  return found;
}

function padded(value) {
  const [whole, decimals = ""] = value.split(".");
  return `${whole}.${decimals.padEnd(2, "0")}`;
}

test("the first load is small, and nothing comes from elsewhere", async () => {
  const { page, context, wrong, sizes } = await signedIn();
  await page.waitForSelector("figure.chart canvas");
  const bytes = sizes.reduce((all, each) => all + each, 0);
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
  assert.equal(await page.textContent("h1"), "Overview");
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
  await page.waitForSelector("[role=alert]");
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
    const { page, wrong, requests, context } = opened;
    const leg = (await api(`/accounts/${account}/legs?limit=1&status=charged`)).items[0].leg;
    for (const place of [...PAGES, `leg?leg=${encodeURIComponent(leg)}`]) {
      requests.clear();
      await page.evaluate((target) => {
        history.pushState(null, "", target);
        dispatchEvent(new PopStateEvent("popstate"));
      }, address(place));
      await page.waitForTimeout(50);
      await settled(page);
      await page.waitForLoadState("networkidle");
      const name = place.replace(/[^\w]+/g, "-").slice(0, 32);
      await page.screenshot({ path: `${pictures}/${name}-${width}-${theme}.png`, fullPage: width >= 600 });
      assert.deepEqual(await findings(page), [], place);
      assert.equal(await page.$("[role=alert]"), null, place);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${place} is ${overflow} px too wide`);
      const shown = await figures(page);
      const known = new Set();
      for (const path of requests) strings((await send("GET", path)).body, known);
      for (const [value, text] of shown) {
        assert.equal(plain(text), padded(value), place);
        if (!place.startsWith("overview")) assert.ok(known.has(value), `${place}: ${value} is not the API's`);
      }
    }
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

test("the overview shows balance, spend and calls as the API has them", async () => {
  const { page, context, wrong } = await signedIn();
  const found = await api(`/accounts/${account}`);
  const shown = Object.fromEntries(await page.$$eval("dl.stats .stat", (stats) => stats.map((each) => [each.querySelector("dt").textContent, each.querySelector("data")?.value])));
  assert.equal(shown.Balance, found.balance);
  assert.equal(shown.Held, found.held);
  assert.equal(shown.Available, found.available);
  const usage = await api(`/accounts/${account}/usage?time=answered`);
  assert.equal(await page.getAttribute(".figures data", "value"), usage.total.amount);
  const calls = await api(`/accounts/${account}/calls`);
  assert.ok(calls.items.length > 0);
  await eventually(async () => (await page.$$("section:has(h2:text('Calls in progress')) tbody tr")).length === calls.items.length);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("what an organizer spent leads to legs, and a leg to its charge", async () => {
  const { page, context, wrong } = await signedIn({}, "usage");
  const organizer = "ken@contoso.example";
  const usage = await api(`/accounts/${account}/usage?group_by=organizer`);
  const expected = usage.items.find((each) => each.organizer === organizer);
  const row = page.locator("tbody tr", { hasText: organizer });
  assert.equal(await row.locator("data").getAttribute("value"), expected.amount);
  await row.locator("a").click();
  await settled(page);
  await page.waitForSelector("h1:text('Legs')");
  assert.equal(new URL(page.url()).searchParams.get("organizer"), organizer);
  const organizers = await page.$$eval("tbody tr td:nth-child(5)", (cells) => [...new Set(cells.map((each) => each.textContent))]);
  assert.deepEqual(organizers, [organizer]);
  const link = page.locator("tbody tr td:first-child a").first();
  await link.click();
  await page.waitForSelector(".sentence");
  const leg = new URL(page.url()).searchParams.get("leg");
  const charge = await api(`/accounts/${account}/legs/${encodeURIComponent(leg)}`);
  assert.equal(await page.textContent(".sentence"), charge.sentence);
  assert.equal(await page.getAttribute(".figures data", "value"), charge.amount);
  await page.goBack();
  await page.waitForSelector("h1:text('Legs')");
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a leg is reversed, and charged anew only after a dry run", async () => {
  const { items } = await api(`/accounts/${account}/legs?limit=50&status=charged&order=amount`);
  const leg = items.find((each) => each.corrections.length === 0).leg;
  const { page, context, wrong } = await signedIn({}, `leg?leg=${encodeURIComponent(leg)}`);
  await page.click("text=Charge anew…");
  await page.click("text=Calculate");
  await page.waitForSelector("dialog .empty, dialog .banner");
  await page.keyboard.press("Escape");
  await page.click("text=Reverse…");
  await page.fill("dialog input[name=reason]", "Bad line");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("td:has-text('Reversal')");
  const entries = (await api(`/accounts/${account}/entries?leg=${encodeURIComponent(leg)}`)).items;
  assert.deepEqual(entries.map((each) => each.kind), ["debit", "reversal"]);
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
  await page.waitForSelector("dialog", { state: "detached" });
  const entries = (await api(`/accounts/${account}/entries?kind=top_up&limit=1000`)).items;
  assert.equal(entries.length, before + 1);
  assert.equal(entries.at(-1).amount, "12.34");
  const { balance } = await api(`/accounts/${account}`);
  await eventually(async () => (await page.locator(".stat data").first().getAttribute("value")) === balance);
  await page.click("text=Top up…");
  await page.fill("dialog input[name=amount]", "0");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog [role=alert] code");
  assert.match(await page.textContent("dialog [role=alert]"), /Request/);
  assert.deepEqual(wrong.filter((each) => !each.includes("422")), []);
  await context.close();
});

test("a parked leg is corrected in place and charged", async () => {
  const { page, context, wrong } = await signedIn({}, "parked");
  const open = (await api(`/parked-legs?account=${account}&status=open&summary=true`)).by_reason.rate_missing;
  await page.click(`button:has-text("Rate missing")`);
  await settled(page);
  await page.click("text=Correct… >> nth=0");
  await page.fill("dialog input[name=to]", "+442079460123");
  assert.deepEqual(await findings(page), []);
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog .banner.good data");
  const amount = await page.getAttribute("dialog .banner data", "value");
  assert.ok(Number(amount) > 0);
  await page.click("dialog a:has-text('Show the leg')");
  await page.waitForSelector(".sentence");
  assert.equal(await page.getAttribute(".figures data", "value"), amount);
  await eventually(async () => (await api(`/parked-legs?account=${account}&status=open&summary=true`)).by_reason.rate_missing === open - 1);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("many parked legs are shown page by page, and replayed together", async () => {
  const { page, context, wrong } = await signedIn({}, "parked?all=true");
  const { total } = await api("/parked-legs?status=open&summary=true");
  const started = Date.now();
  await page.click("text=Next page");
  await page.waitForFunction(() => location.search.includes("cursor="));
  await settled(page);
  const ms = Date.now() - started;
  console.log(`a page of ${total} parked legs: ${ms} ms`);
  assert.ok(ms < ANSWER_MS_MAX, `${ms} ms`);
  assert.equal((await page.$$("tbody tr")).length, Math.min(25, total - 25));
  await page.selectOption("select >> nth=2", "one");
  await settled(page);
  const own = (await api(`/parked-legs?account=${account}&status=open&summary=true`)).total;
  await page.click("text=Replay many…");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog", { state: "detached", timeout: 60_000 });
  assert.match(await page.textContent(".notice"), new RegExp(`still parked ${own}`));
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a deck is imported by clicking on its columns", async () => {
  const { page, context, wrong } = await signedIn({}, "cards?tab=import");
  const deck = ["Land;Netz;Vorwahl;Preis;x", ...Array.from({ length: 30 }, (_, index) => `United Kingdom;${index ? `Area ${index}` : ""};44${index ? 1000 + index : ""};0,0${20 + index};`)].join("\n");
  await page.setInputFiles("input[type=file]", { name: "deck.csv", mimeType: "text/csv", buffer: Buffer.from(deck) });
  await page.waitForSelector("table.preview");
  assert.equal((await page.$$("table.preview tbody tr")).length, 20);
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
  await page.click("text=Check without storing");
  await page.waitForSelector("dl.stats");
  assert.equal((await send("GET", "/api/v1/rate-cards/carrier")).status, 404);
  await page.click("button:text('Publish')");
  await page.waitForSelector("text=Published.");
  const stored = await api("/rate-cards/carrier");
  assert.equal(stored.versions[0].rate_count, 30);
  await page.click("button:has-text('Compare in money')");
  await page.waitForSelector("h3:text('What the same legs would have cost')");
  await page.screenshot({ path: `${pictures}/import.png`, fullPage: true });
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a number is tried: every check is shown", async () => {
  const { page, context, wrong } = await signedIn({}, "policy");
  await page.fill("input[name=to]", "+442079460123");
  await page.fill("input[name=organizer]", "ken@contoso.example");
  await page.click("button:text('Try')");
  await page.waitForSelector("ol.checks li");
  assert.ok((await page.$$("ol.checks li")).length > 10);
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
  await page.waitForSelector("dialog", { state: "detached" });
  await page.fill("input[name=prefix]", "zoe");
  await page.click("button:text('Search')");
  await eventually(async () => (await page.$$("tbody tr")).length === 1);
  const other = await signedIn({}, new URL(page.url()).pathname.split("/").pop() + new URL(page.url()).search);
  assert.equal((await other.page.$$("tbody tr")).length, 1);
  await other.context.close();
  await page.click("tbody button");
  await page.fill("dialog input[name=cost_center]", "cc-9");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog", { state: "detached" });
  assert.equal((await api(`/accounts/${account}/organizers/zoe@contoso.example`)).cost_center, "cc-9");
  await page.click("tbody button");
  await page.click("dialog button:text('Delete')");
  await page.waitForSelector("text=No organizer is registered.");
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a hostile name is text, and 200 right-to-left characters stay in their place", async () => {
  const { page, context, wrong } = await signedIn({ width: 360 }, `legs?conference=${encodeURIComponent(SCRIPT)}`);
  await page.waitForSelector("tbody tr");
  const names = await page.$$eval("tbody bdi", (found) => found.map((each) => each.textContent));
  assert.ok(names.includes(SCRIPT));
  assert.ok(names.some((each) => each.length === 200));
  assert.equal(await page.$("main img"), null);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  assert.deepEqual(await findings(page), []);
  await page.screenshot({ path: `${pictures}/hostile-360.png` });
  assert.deepEqual(wrong, []);
  await context.close();
});

test("an error shows the problem's detail and the request id", async () => {
  const { page, context } = await signedIn({}, "leg?leg=local~nothing");
  const text = await page.textContent("[role=alert]");
  const { body } = await send("GET", `/api/v1/accounts/${account}/legs/local~nothing`);
  assert.ok(text.includes(body.detail) && text.includes(body.code));
  assert.match(text, /[0-9a-f]{8}-[0-9a-f]{4}-/);
  await context.close();
});

test("what a role may not do is not offered, and says why", async () => {
  const made = await send("POST", "/api/v1/api-keys", { name: "reads", roles: ["reader"], accounts: [account] });
  const { page, context, wrong } = await signedIn({}, "credits", made.body.key);
  assert.equal(await page.$("button:text('Top up…')"), null);
  assert.match(await page.textContent(".page-head"), /Top up….*needs the role finance/);
  assert.deepEqual(await findings(page), []);
  await page.goto(address("status", made.body.key));
  await settled(page);
  assert.deepEqual(wrong, []);
  await context.close();
});

test("French: texts and figures", async () => {
  const { page, context, wrong } = await signedIn({ locale: "fr-FR" }, "credits");
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  assert.equal(await page.textContent("h1"), "Crédits");
  const [value, shown] = (await figures(page))[0];
  assert.equal(shown.replaceAll("\u202f", "").replace(",", "."), padded(value));
  assert.deepEqual(await findings(page), []);
  await page.click("text=English");
  await page.waitForSelector("h1:text('Credits')");
  assert.deepEqual(wrong, []);
  await context.close();
});

test("dial-out is stopped, and the calls end", async () => {
  const { page, context, wrong } = await signedIn();
  const calls = (await api(`/accounts/${account}/calls`)).items;
  await page.click("button:text('Stop dial-out')");
  await page.fill("dialog input[name=reason]", "Strange calls");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("text=Dial-out is stopped:");
  assert.equal((await api(`/accounts/${account}/dial-out-policy/state`)).stopped, true);
  const denied = await post("dial-outs", { to: "+442079460123", conference_id: "3001" });
  assert.equal(denied.body.reason, "dial_out_stopped");
  for (const each of calls) {
    const answer = await post(`dial-outs/${encodeURIComponent(each.authorization)}/release`, { authorization: each.authorization, release: true });
    assert.equal(answer.status, 200, JSON.stringify(answer));
  }
  await page.waitForSelector("text=No call is in progress.");
  await page.click("button:text('Restart dial-out')");
  await page.waitForSelector("button:text('Stop dial-out')");
  assert.equal((await api(`/accounts/${account}/dial-out-policy/state`)).stopped, false);
  assert.deepEqual(wrong, []);
  await context.close();
});
