/** States of the console, on a stack as for browser.mjs: keyboard, dialogs, roles, addresses,
 * failures of the API, ends of a session, sign-in with Entra, and both languages. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { account, address, api, base, becomes, closed, count, findings, heading, send, settled, signedIn, stack, tab, visit } from "./harness.mjs";

const leg = (await api(`/accounts/${account}/legs?limit=50&status=charged`)).items.find((each) => each.corrections.length === 0).leg;
const LEG = `leg?leg=${encodeURIComponent(leg)}`;
const BRIDGE = `directory?kind=bridges&bridge=${stack.bridge.name}`;
const PAGES = ["overview", "usage?by=organizer&then=region", "usage?by=day", "legs", LEG, "credits", "statement", "policy", "cards", "cards?tab=import", "parked?all=true", "directory", "directory?kind=conferences", "directory?kind=service-numbers", BRIDGE, "status"];
const button = (label) => `button:text-is("${label}")`;

async function keyOf(roles, accounts = ["*"]) {
  const made = await send("POST", "/api/v1/api-keys", { name: `states-${roles.join("-")}`, roles, accounts });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}

// Keyboard

/** Marks what can be focused, and returns the marks. */
const stops = (page, inside = "body") =>
  page.evaluate((scope) => {
    const found = [...document.querySelector(scope).querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((each) => !each.disabled && each.tabIndex >= 0 && each.checkVisibility({ visibilityProperty: true }));
    found.forEach((each, index) => each.setAttribute("data-stop", String(index)));
    return found.map((each, index) => [String(index), `${each.tagName} ${each.textContent.trim().slice(0, 30) || each.name}`]);
  }, inside);

const focused = (page) =>
  page.evaluate(() => {
    const active = document.activeElement;
    const style = getComputedStyle(active);
    return { stop: active.getAttribute("data-stop"), isSeen: style.outlineStyle !== "none" || style.boxShadow !== "none", isInDialog: !!active.closest("dialog"), text: active.textContent.trim(), isBody: active === document.body };
  });

test("every control of every page is reached by Tab, and its focus is seen", async () => {
  const { page, context, wrong } = await signedIn();
  for (const place of PAGES) {
    await visit(page, place);
    await page.evaluate(() => {
      document.activeElement?.blur();
      getSelection()?.removeAllRanges();
      document.querySelectorAll("[data-stop]").forEach((each) => each.removeAttribute("data-stop"));
    });
    const known = new Map(await stops(page));
    const left = new Set(known.keys());
    for (let turn = 0; turn < 12 * known.size && left.size > 0; turn += 1) {
      await page.keyboard.press("Tab");
      const { stop, isSeen } = await focused(page);
      if (stop !== null && left.delete(stop)) assert.ok(isSeen, `${place}: no focus is seen on ${known.get(stop)}`);
    }
    assert.deepEqual([...left].map((each) => known.get(each)), [], place);
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

test("at 360 px the menu opens by keyboard, and a link moves the focus to the heading", async () => {
  const { page, context, wrong } = await signedIn({ width: 360 });
  await page.focus(button("Menu"));
  await page.keyboard.press("Enter");
  await page.waitForSelector('button.menu[aria-expanded="true"]');
  await page.focus('nav a:has-text("Usage")');
  await page.keyboard.press("Enter");
  await heading(page, "Usage");
  await becomes(async () => (await focused(page)).text, "Usage");
  await page.focus(".skip");
  await page.keyboard.press("Enter");
  await becomes(() => page.evaluate(() => document.activeElement?.id), "main");
  assert.deepEqual(wrong, []);
  await context.close();
});

const DIALOGS = [
  ["overview", "Stop dial-out"],
  [LEG, "Reverse…"],
  [LEG, "Re-rate…"],
  ["credits", "Top up…"],
  ["credits", "Adjust…"],
  ["credits", "Change…"],
  ["policy", "Change…"],
  ["parked?all=true", "Correct…"],
  ["parked?all=true", "Replay many…"],
  ["parked?all=true", "Dismiss many…"],
  ["directory", "Add…"],
  ["directory", "Load a CSV…"],
  ["directory?kind=conferences", "Add…"],
  ["directory?kind=service-numbers", "Add…"],
  ["directory?kind=bridges", "Add…"],
  [BRIDGE, "Change…"],
];

test("a dialog opens by keyboard, keeps the focus, closes by Escape and gives the focus back", async () => {
  const { page, context, wrong } = await signedIn();
  for (const [place, label] of DIALOGS) {
    await visit(page, place);
    const opener = page.locator(button(label)).first();
    await opener.focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog[open]");
    await page.waitForFunction(() => !document.querySelector("dialog .skeleton"));
    const known = new Map(await stops(page, "dialog"));
    const left = new Set(known.keys());
    for (let turn = 0; turn < 12 * known.size && left.size > 0; turn += 1) {
      const { stop, isInDialog, isBody } = await focused(page);
      assert.ok(isInDialog || isBody, `${place}, ${label}: the focus left the dialog`);
      left.delete(stop);
      await page.keyboard.press("Tab");
    }
    assert.deepEqual([...left].map((each) => known.get(each)), [], `${place}, ${label}`);
    await page.keyboard.press("Escape");
    await closed(page);
    await becomes(() => opener.evaluate((each) => each === document.activeElement), true, `${place}, ${label}: the focus is lost`);
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

// Roles

const EVERYWHERE = ["reader", "finance", "operator", "admin"];
/** [page, command, the roles that may give it] */
const COMMANDS = [
  ["overview", "Stop dial-out", ["operator"]],
  [LEG, "Reverse…", ["finance"]],
  [LEG, "Re-rate…", ["finance"]],
  ["credits", "Top up…", ["finance"]],
  ["credits", "Adjust…", ["finance"]],
  ["credits", "Change…", ["finance"]],
  ["policy", "Change…", ["operator"]],
  ["policy", "Try", ["reader", "finance", "operator"]],
  ["policy", "Calculate", ["reader", "finance", "operator"]],
  ["cards", "Calculate", ["reader", "finance", "operator"]],
  ["parked?all=true", "Replay many…", ["operator"]],
  ["parked?all=true", "Dismiss many…", ["operator"]],
  ["directory", "Add…", ["operator"]],
  ["directory", "Load a CSV…", ["operator"]],
  ["directory?kind=conferences", "Add…", ["operator"]],
  ["directory?kind=service-numbers", "Add…", ["operator"]],
  [BRIDGE, "Add…", []],
  [BRIDGE, "Change…", []],
  [BRIDGE, "Disable", []],
  [BRIDGE, "Try", ["operator"]],
];
/** [page, what opens the dialog, command in the dialog, roles] */
const IN_DIALOGS = [
  ["parked?all=true", "table button.small", "Replay", ["operator"]],
  ["parked?all=true", "table button.small", "Dismiss", ["operator"]],
  ["directory", "table button.link", "Save", ["operator"]],
  ["directory", "table button.link", "Delete", ["operator"]],
  ["directory?kind=conferences", "table button.link", "Save", ["operator"]],
];

async function offered(page, scope, label, may, about) {
  const denied = page.locator(`${scope} .denied:has-text("${label}: needs the role")`);
  const given = page.locator(`${scope} ${button(label)}`);
  await becomes(async () => [(await given.count()) > 0, (await denied.count()) > 0], [may, !may], about);
}

for (const role of EVERYWHERE) {
  test(`what ${role} may not do is not offered, and says why`, async () => {
    const { key } = await keyOf([role]);
    const { page, context, wrong } = await signedIn({}, "overview", key);
    const refused = [];
    page.on("response", (answer) => answer.status() === 403 && refused.push(answer.url()));
    const may = (roles) => role === "admin" || roles.includes(role);
    for (const place of new Set(COMMANDS.map(([each]) => each))) {
      await visit(page, place);
      assert.equal(await page.locator("main [role=alert]").count(), 0, place);
      if (place === BRIDGE && !may(["operator"])) {
        await page.waitForSelector(".denied:text('Bridges: needs the role operator')");
        continue;
      }
      for (const [, label, roles] of COMMANDS.filter(([each]) => each === place)) await offered(page, "main", label, may(roles), `${role}, ${place}: ${label}`);
    }
    for (const [place, opener, label, roles] of IN_DIALOGS) {
      await visit(page, place);
      await page.locator(opener).first().click();
      await page.waitForSelector("dialog[open]");
      await offered(page, "dialog", label, may(roles), `${role}, ${place}: ${label}`);
      await page.keyboard.press("Escape");
      await closed(page);
    }
    await visit(page, "cards?tab=import");
    await page.setInputFiles("input[type=file]", { name: "deck.csv", mimeType: "text/csv", buffer: Buffer.from("Code,Name,Rate\n44,UK,0.01\n") });
    await offered(page, "main", "Check without storing", may(["finance"]), `${role}: import`);
    assert.deepEqual(refused, []);
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

test("a caller of one account, and one without a page, are told the reason", async () => {
  const { key } = await keyOf(["operator", "finance", "admin"], [account]);
  const one = await signedIn({}, "directory?kind=bridges", key);
  await one.page.waitForSelector(".denied:text('Bridges: needs access to all accounts')");
  await visit(one.page, "directory?kind=service-numbers");
  await one.page.waitForSelector(".denied:text('Add…: needs access to all accounts')");
  assert.deepEqual(one.wrong, []);
  await one.context.close();
  const payments = await keyOf(["payments"]);
  const none = await signedIn({}, "overview", payments.key);
  await heading(none.page, "No page for this role");
  await none.page.waitForSelector("main :text('yours is payments')");
  assert.deepEqual(none.wrong, []);
  await none.context.close();
});

// Addresses

const choose = (label, value) => async (page) => page.locator(`.field:has(label:text-is("${label}")) select`).first().selectOption(value);
const type = (label, value, scope = "main") => (page) => page.locator(`${scope} .field:has(label:text-is("${label}")) input`).first().fill(value);
const click = (label) => (page) => page.locator(`main ${button(label)}`).first().click();
const card = (title) => `section.card:has(h2:text-is("${title}"))`;
/** [page, steps that change the view] */
const VIEWS = [
  ["usage", [choose("Group by", "region"), choose("Then by", "day"), choose("Order", "legs"), choose("Counted by", "answered")]],
  ["usage", [type("From", "2026-01-02"), type("Before", "2030-01-02"), click("Apply")]],
  ["legs", [choose("Kind", "dial_out"), choose("Order", "amount"), type("Region", "GB"), type("At least", "0.01"), click("Search")]],
  ["legs", [choose("Status", "parked"), choose("Counted by", "answered"), click("Search")]],
  ["legs", [type("From", "2026-01-02"), type("Before", "2030-01-02"), click("Search")]],
  ["legs", [click("Next page")]],
  ["credits", [choose("Kind", "debit"), click("Next page")]],
  ["statement", [click("Earlier month")]],
  ["policy", [type("Number", "+442079460123"), type("Organizer", "ken@contoso.example"), click("Try"), type("Also block the countries", "GB"), click("Calculate")]],
  ["cards", [type("Country or code", "united"), click("Search"), type("Number", "+442079460123"), type("Minutes", "3"), click("Calculate")]],
  ["parked", [choose("Scope", "all"), click("Next page")]],
  ["directory", [type("Begins with", "ken"), click("Search")]],
  ["status", [choose("Kind", "account"), choose("Scope", "account"), click("Search")]],
];

/** The view without times of day, which go on. */
const view = (page) =>
  page.evaluate(() => {
    // The status itself changes meanwhile: its view is the audit log.
    const parts = location.pathname.endsWith("/status") ? [...document.querySelectorAll("section.card")].filter((each) => each.querySelector("h2")?.textContent === "Audit log") : [];
    const main = (parts[0] ?? document.querySelector("main")).cloneNode(true);
    for (const each of main.querySelectorAll("[id]")) each.removeAttribute("id");
    const fields = [...document.querySelectorAll("main input:not([type=file]), main select")].map((each) => (each.type === "checkbox" ? each.checked : each.value));
    return [main.textContent.replace(/\d\d:\d\d:\d\d/g, "").replace(/\d+ s\b/g, ""), fields, document.title];
  });

test("a link reproduces every view, and so do the buttons back and forward", async () => {
  const { page, context, wrong } = await signedIn();
  const other = await signedIn();
  for (const [place, steps] of VIEWS) {
    await visit(page, place);
    await page.waitForFunction(() => new URLSearchParams(location.search).has("account"));
    for (const step of steps) {
      await step(page);
      await settled(page);
    }
    const [shown, url] = [await view(page), page.url()];
    assert.equal(await count(page, "main [role=alert]"), 0, url);
    await other.page.goto(`${url}#key=${stack.admin_key}`);
    await settled(other.page);
    await becomes(() => view(other.page), shown, url);
    await visit(page, "policy");
    await page.goBack();
    await settled(page);
    await becomes(() => view(page), shown, `back to ${url}`);
  }
  assert.deepEqual([...wrong, ...other.wrong], []);
  await context.close();
  await other.context.close();
});

test("every choice of a list is one that the API takes", async () => {
  const { page, context, wrong } = await signedIn();
  const LISTS = { legs: `/accounts/${account}/legs`, usage: `/accounts/${account}/usage`, credits: `/accounts/${account}/entries`, parked: "/parked-legs", status: "/audit-log" };
  const NAMES = { "Group by": "group_by", "Then by": "group_by", Order: "order", "Counted by": "time", Kind: "kind", Status: "status" };
  for (const [place, path] of Object.entries(LISTS)) {
    await visit(page, place);
    const fields = await page.$$eval("main .field:has(select)", (found) => found.map((each) => [each.querySelector("label").textContent, [...each.querySelectorAll("option")].map((option) => option.value)]));
    const queries = fields.flatMap(([label, values]) => (NAMES[label] ? values.filter(Boolean).map((each) => `${NAMES[label]}=${each}`) : []));
    for (const query of new Set(queries)) await api(`${path}?limit=1&${query}`); // one at a time: reports have a budget
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

/** Accounts without a leg, in zones and currencies of every kind: the browser does not know each zone. */
const EMPTY = [
  ["auckland", { currency: "JPY", time_zone: "Pacific/Auckland", name: `<img src=x onerror=alert(1)>💥${"עברית".repeat(20)}` }],
  ["factory", { currency: "KWD", time_zone: "Factory" }],
];

test("an account without a leg has every page, with the days of its own zone", async () => {
  const { page, context, wrong } = await signedIn();
  for (const [id, settings] of EMPTY) {
    assert.equal((await send("PUT", `/api/v1/accounts/${id}`, settings)).status, 201);
    for (const place of id === "auckland" ? PAGES.filter((each) => each !== LEG && each !== BRIDGE) : ["overview", "status"]) {
      await visit(page, `${place}${place.includes("?") ? "&" : "?"}account=${id}`);
      assert.equal(await count(page, "main [role=alert]"), 0, `${id}, ${place}`);
      assert.equal(await count(page, "main img"), 0);
    }
    await visit(page, `credits?account=${id}`);
    await page.click(button("Top up…"));
    await page.fill("dialog input[name=amount]", "1000.5");
    await page.fill("dialog input[name=expires]", "2030-01-01");
    // Two clicks before the page is drawn again are one booking.
    await page.$eval("dialog button[type=submit]", (each) => (each.click(), each.click()));
    await closed(page);
    const { lots } = await api(`/accounts/${id}`);
    assert.deepEqual(lots.map((each) => [each.amount, each.expires_at]), [["1000.50", id === "auckland" ? "2029-12-31T11:00:00Z" : "2030-01-01T00:00:00Z"]]);
    await page.waitForSelector("td:has-text('1 Jan 2030')");
    assert.equal((await api(`/accounts/${id}/entries`)).items.length, 1);
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a name that no address can hold is refused, and a part that does not exist is the first", async () => {
  const { page, context, requests } = await signedIn();
  for (const name of ["..", "."]) {
    requests.clear();
    await visit(page, `leg?leg=${name}`);
    await page.waitForSelector("main [role=alert]:has-text('No such name')");
    assert.ok(![...requests].some((each) => each.endsWith(`/${account}/`) || each.endsWith("/legs/")));
  }
  await visit(page, "directory?kind=nothing");
  await page.waitForSelector("main h2:text('Organizers')");
  await context.close();
});

test("two people change the same settings: the second is refused, sees the present ones, and goes on", async () => {
  const { page, context } = await signedIn({}, "credits");
  const refused = () => page.waitForSelector("dialog [role=alert]:has-text('412')");
  await page.click(`${card("Automatic recharge")} ${button("Change…")}`);
  const rename = async (name) => assert.equal((await send("PATCH", `/api/v1/accounts/${account}`, { name })).status, 200);
  const { name } = await api(`/accounts/${account}`);
  await rename("Renamed");
  await page.fill("dialog input[name=trigger]", "1.25");
  await page.fill("dialog input[name=amount]", "50");
  await page.click("dialog button[type=submit]");
  await refused();
  await page.keyboard.press("Escape");
  await closed(page);
  await settled(page);
  await page.click(`${card("Automatic recharge")} ${button("Change…")}`);
  await page.fill("dialog input[name=trigger]", "1.25");
  await page.fill("dialog input[name=amount]", "50");
  await page.click("dialog button[type=submit]");
  await closed(page);
  assert.equal((await api(`/accounts/${account}`)).auto_recharge.trigger, "1.25");
  assert.equal((await send("PATCH", `/api/v1/accounts/${account}`, { name, auto_recharge: null })).status, 200);
  await visit(page, "directory");
  const first = page.locator("tbody button.link").first();
  const organizer = await first.textContent();
  await first.click();
  await send("PATCH", `/api/v1/accounts/${account}/organizers/${encodeURIComponent(organizer)}`, { cost_center: "theirs" });
  await page.click("dialog button[type=submit]");
  await refused();
  await page.keyboard.press("Escape");
  await closed(page);
  await page.waitForSelector("tbody tr:has-text('theirs')");
  await settled(page);
  await first.click();
  assert.equal(await page.inputValue("dialog input[name=cost_center]"), "theirs");
  await page.click("dialog button[type=submit]");
  await closed(page);
  await context.close();
});

// Failures

const problem = (status) => ({ status, contentType: "application/problem+json", headers: { "x-request-id": "request-of-the-header" }, body: JSON.stringify({ title: "Out of order", detail: "It failed <b>hard</b>.", status, code: "internal_error", request_id: "request-16" }) });
/** Answers in place of the API's, and a text that the alert contains. */
const FAILURES = {
  "a problem": [problem(500), "request-16"],
  "a refusal": [problem(403), "It failed <b>hard</b>."],
  "HTML of a gateway": [{ status: 502, contentType: "text/html", headers: { "x-request-id": "request-17" }, body: "<h1>Bad gateway</h1>" }, "request-17"],
  "a problem of nulls": [{ status: 503, contentType: "application/problem+json", body: "null" }, "503"],
  "a problem of other types": [{ status: 422, contentType: "application/problem+json", body: '{"title": 7, "errors": "x", "detail": null}' }, "422"],
  "a page of a hotel": [{ status: 200, contentType: "text/html", body: "<h1>Welcome</h1>" }, "can't be read"],
  "half a document": [{ status: 200, contentType: "application/json", body: '{"items": [{"id": "x' }, "can't be read"],
  "another document": [{ status: 200, contentType: "application/json", body: '{"items": 7}' }, ""],
  "no connection": [null, "The API does not answer"],
};

const ON_EVERY_PAGE = ["a problem", "another document"];

for (const [name, [answer, text]] of Object.entries(FAILURES)) {
  const pages = ON_EVERY_PAGE.includes(name) ? PAGES : ["overview", "usage", "cards"];
  test(`${pages.length} pages stay usable after ${name}`, async () => {
    const { page, context } = await signedIn();
    const failing = (route) => (answer === null ? route.abort("connectionrefused") : route.fulfill(answer));
    const isData = (url) => url.pathname.startsWith("/api/v1/") && !/\/v1\/(caller|accounts)$/.test(url.pathname) && url.pathname !== `/api/v1/accounts/${account}`;
    for (const place of pages) {
      await page.route(isData, failing);
      await visit(page, `nothing`);
      await visit(page, place).catch((error) => assert.fail(`${place}: ${error.message}`));
      if (!["cards?tab=import"].includes(place) && text) {
        const shown = (await page.locator("main [role=alert], main .note").allTextContents()).join(" ");
        assert.ok(shown.includes(text), `${place}: ${shown}`);
      }
      assert.ok((await page.textContent("main")).trim().length > 10, `${place} is blank`);
      assert.equal(await page.locator("main b:text('hard')").count(), 0);
      await page.unroute(isData, failing);
      await page.click('nav a:has-text("Policy")');
      await heading(page, "Policy");
    }
    await settled(page);
    assert.equal(await page.locator("main [role=alert]").count(), 0);
    await context.close();
  });
}

test("an error is tried again; a page that loads shows that", async () => {
  const { page, context } = await signedIn();
  let answer = (route) => route.fulfill(problem(500));
  await page.route("**/usage?**", (route) => answer(route));
  await visit(page, "usage");
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  answer = async (route) => {
    await released;
    await route.continue();
  };
  await page.click(button("Try again"));
  await page.waitForSelector("main [role=status]:has-text('Loading…')");
  release();
  await page.waitForSelector("main tfoot");
  await page.evaluate((key) => sessionStorage.setItem("perminute.key", key), stack.admin_key);
  await page.route("**/v1/caller", (route) => route.abort("connectionrefused"));
  await page.reload();
  await page.waitForSelector("[role=alert]:has-text('The API does not answer')");
  await page.unroute("**/v1/caller");
  await page.click(button("Try again"));
  await settled(page);
  await context.close();
});

test("a page whose code is gone says so, and the other pages stay", async () => {
  const { page, context } = await signedIn();
  await page.route(/assets\/cards-.*\.js/, (route) => route.fulfill({ status: 404, contentType: "application/problem+json", body: "{}" }));
  await page.click('nav a:has-text("Rate cards")');
  await page.waitForSelector("main [role=alert]:has-text('The console failed')");
  await page.click('nav a:has-text("Usage")');
  await heading(page, "Usage");
  await settled(page);
  await context.close();
});

test("a top-up whose answer is lost is one entry, in the same dialog and in another", async () => {
  const { page, context } = await signedIn({}, "credits");
  const entries = async () => (await api(`/accounts/${account}/entries?kind=top_up&limit=1000`)).items.length;
  const before = await entries();
  let losses = 2;
  await page.route("**/top-ups", async (route) => {
    const answer = await route.fetch();
    if (losses > 0) {
      losses -= 1;
      await route.abort("connectionreset");
    } else await route.fulfill({ response: answer });
  });
  const book = async () => {
    await page.fill("dialog input[name=amount]", "7.77");
    await page.click("dialog button[type=submit]");
  };
  await page.click(button("Top up…"));
  await book();
  await page.waitForSelector("dialog [role=alert]:has-text('The API does not answer')");
  await book();
  await becomes(() => losses, 0);
  await page.waitForSelector("dialog button[type=submit]:not([disabled])");
  await page.keyboard.press("Escape");
  await closed(page);
  await page.click(button("Top up…"));
  await book();
  await closed(page);
  await page.waitForSelector(".notice:has-text('Nothing is booked twice')");
  assert.equal(await entries(), before + 1);
  await page.click(button("Top up…"));
  await book();
  await closed(page);
  assert.equal(await entries(), before + 2);
  await context.close();
});

// Sessions

test("a key that ends in mid-work leads to a sign-in, and then back to the same view", async () => {
  const { page, context } = await signedIn({}, "legs?organizer=ken@contoso.example");
  const isLegs = (each) => each.pathname.endsWith("/legs");
  await page.route(isLegs, (route) => route.fulfill({ ...problem(401), body: JSON.stringify({ title: "Unauthorized", detail: "No.", status: 401, code: "not_authenticated" }) }));
  await choose("Order", "amount")(page);
  await click("Search")(page);
  await page.waitForSelector("[role=alert]:has-text('The session has ended')");
  await page.unroute(isLegs);
  assert.equal(new URL(page.url()).searchParams.get("organizer"), "ken@contoso.example");
  assert.deepEqual(await findings(page), []);
  await page.fill("input[name=key]", stack.admin_key);
  await page.keyboard.press("Enter");
  await heading(page, "Legs");
  await settled(page);
  assert.equal(await page.inputValue("input[name=organizer]"), "ken@contoso.example");
  assert.equal(await page.locator("text=The session has ended").count(), 0);
  await context.close();
});

test("a one-time sign-in in a tab that is open is taken, and removed from the address", async () => {
  const { page, context, wrong } = await tab();
  await page.goto(address("usage"));
  await page.waitForSelector("input[name=key]");
  await page.goto(address("usage", stack.admin_key));
  await settled(page);
  await heading(page, "Usage");
  assert.equal(new URL(page.url()).hash, "");
  for (const key of ["%E0%A4%A", "%D0%BA%D0%BB%D1%8E%D1%87"]) {
    const other = await tab();
    await other.page.goto(address("usage", key));
    await other.page.waitForSelector("input[name=key]");
    assert.equal(new URL(other.page.url()).hash, "");
    await other.page.fill("input[name=key]", "ключ");
    await other.page.click("button[type=submit]");
    await other.page.waitForSelector("[role=alert]:text('The API does not accept this key.')");
    await other.context.close();
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a browser that stores nothing shows the console", async () => {
  const { page, context } = await tab();
  await page.addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get: () => { throw new DOMException("denied", "SecurityError"); } });
  });
  await page.goto(address("usage", stack.admin_key));
  await settled(page);
  await page.click("text=Dark or light");
  await page.click("text=Français");
  await heading(page, "Consommation");
  await context.close();
});

/** Stands in for login.microsoftonline.com: the authorization code flow with PKCE, whose access token
 * is an API key of the stack. */
async function entra(page, outcome = "code") {
  const tenant = "11111111-2222-3333-4444-555555555555";
  const authority = `https://login.microsoftonline.com/${tenant}`;
  const seen = { challenges: [], verified: 0, others: [] };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  let nonce = "";
  await page.route("**/console/config.json", (route) => route.fulfill({ json: { entra: { authority, client_id: "client-1" }, version: "test" } }));
  await page.route("https://login.microsoftonline.com/**", async (route) => {
    const url = new URL(route.request().url());
    const headers = { "access-control-allow-origin": base, "access-control-allow-headers": "*" };
    if (url.pathname.endsWith("/openid-configuration")) {
      await route.fulfill({ headers, json: { authorization_endpoint: `${authority}/oauth2/v2.0/authorize`, token_endpoint: `${authority}/oauth2/v2.0/token`, issuer: `${authority}/v2.0`, jwks_uri: `${authority}/discovery/v2.0/keys`, end_session_endpoint: `${authority}/oauth2/v2.0/logout` } });
    } else if (url.pathname.endsWith("/authorize")) {
      const query = url.searchParams;
      assert.equal(query.get("code_challenge_method"), "S256");
      assert.equal(query.get("redirect_uri"), `${base}/console/`);
      seen.challenges.push(query.get("code_challenge"));
      nonce = query.get("nonce");
      const back = new URLSearchParams({ state: query.get("state"), ...(outcome === "code" ? { code: "code-1", client_info: part({ uid: "u", utid: tenant }) } : { error: "access_denied", error_description: "The user refused." }) });
      await route.fulfill({ status: 302, headers: { location: `${base}/console/#${back}` } });
    } else if (url.pathname.endsWith("/token")) {
      const form = new URLSearchParams(route.request().postData());
      if (createHash("sha256").update(form.get("code_verifier")).digest("base64url") === seen.challenges.at(-1)) seen.verified += 1;
      const now = Math.floor(Date.now() / 1000);
      const claims = { aud: "client-1", iss: `${authority}/v2.0`, tid: tenant, oid: "u", sub: "u", nonce, preferred_username: "ken@contoso.example", name: "Ken", iat: now, nbf: now - 5, exp: now + 3600, ver: "2.0" };
      await route.fulfill({ headers, json: { token_type: "Bearer", scope: "client-1/.default openid profile", expires_in: 3600, ext_expires_in: 3600, access_token: stack.admin_key, id_token: `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}.c2ln`, client_info: part({ uid: "u", utid: tenant }) } });
    } else {
      seen.others.push(url.href);
      await route.fulfill({ status: 404, headers, body: "" });
    }
  });
  return seen;
}

test("a sign-in with Entra, by code and PKCE, leads back to the page where it began", async () => {
  for (const place of ["", "legs?organizer=ken@contoso.example&order=amount"]) {
    const { page, context, wrong } = await tab();
    const seen = await entra(page);
    const target = place ? address(place) : `${base}/console/`;
    await page.goto(target);
    await page.click("text=Sign in with Microsoft Entra");
    await heading(page, place ? "Legs" : "Overview");
    await settled(page);
    assert.equal(seen.verified, 1);
    assert.equal(new URL(page.url()).hash, "");
    if (place) assert.equal(await page.inputValue("input[name=organizer]"), "ken@contoso.example");
    assert.deepEqual(wrong.filter((each) => !each.includes("login.microsoftonline.com")), []);
    await page.click("text=Sign out");
    await page.waitForSelector("input[name=key]");
    assert.equal(await page.evaluate((key) => JSON.stringify({ ...sessionStorage, ...localStorage }).includes(key), stack.admin_key), false);
    await context.close();
  }
});

test("a sign-in with Entra that is refused says why", async () => {
  const { page, context } = await tab();
  await entra(page, "error");
  await page.goto(address("usage"));
  await page.click("text=Sign in with Microsoft Entra");
  await page.waitForSelector("[role=alert]:has-text('The user refused.')");
  assert.equal(new URL(page.url()).hash, "");
  await context.close();
});

// Languages and schemes

/** Texts of the console whose French differs. */
function english() {
  const source = readFileSync(new URL("../src/fr.ts", import.meta.url), "utf8");
  const found = [...source.matchAll(/^ {2}"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)",$/gm)].map((each) => [JSON.parse(`"${each[1]}"`), JSON.parse(`"${each[2]}"`)]);
  const french = new Set(found.map(([, text]) => text));
  return found.filter(([text, other]) => text !== other && !french.has(text) && !text.includes("{")).map(([text]) => text);
}

test("French, dark: axe finds nothing, and no text is English", async () => {
  const { page, context, wrong } = await signedIn({ theme: "dark", locale: "fr-FR" });
  const texts = english();
  for (const place of PAGES) {
    await visit(page, place);
    assert.deepEqual(await findings(page), [], place);
    const left = await page.evaluate((known) => {
      const shown = new Set();
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) if (!walker.currentNode.parentElement.closest("pre, code, bdi, [lang=en]")) shown.add(walker.currentNode.data.trim());
      for (const each of document.querySelectorAll("[aria-label], [title], [placeholder]")) for (const name of ["aria-label", "title", "placeholder"]) shown.add(each.getAttribute(name));
      return known.filter((each) => shown.has(each));
    }, texts);
    assert.deepEqual(left, [], place);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, place);
  }
  assert.deepEqual(wrong, []);
  await context.close();
});
