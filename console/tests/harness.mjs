/** Parts of the tests in a browser. STACK: JSON with `base_url`, `admin_key`, `bridge` and
 * `account`; CHROMIUM: the browser; SCREENSHOTS: folder of the pictures. */
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { chromium } from "playwright-core";

export const stack = JSON.parse(process.env.STACK);
export const { account } = stack;
export const base = stack.base_url;
export const pictures = process.env.SCREENSHOTS;
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const WAIT_MS_MAX = Number(process.env.WAIT ?? 60_000);

let browser;
before(async () => {
  mkdirSync(pictures, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
});
after(() => browser?.close());

/** A tab that records what must not happen. `requests` are the GETs of the API that it sent,
 * `answers` their documents. */
export async function tab({ width = 1600, theme = "light", locale = "en-GB", zone = "Europe/Paris" } = {}) {
  const context = await browser.newContext({ viewport: { width, height: width < 600 ? 800 : 1000 }, colorScheme: theme, locale, timezoneId: zone, acceptDownloads: true, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS_MAX);
  const wrong = [];
  const requests = new Set();
  const sizes = [];
  const answers = [];
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
  page.on("response", (answer) => {
    if (answer.url().includes("/api/") && answer.request().method() === "GET") answers.push(answer.json().catch(() => null));
  });
  page.on("requestfinished", (request) => {
    if (request.url().includes("/console/")) sizes.push(request.sizes().then((found) => found.responseBodySize, () => 0)); // 0: the tab is closed
  });
  return { context, page, wrong, requests, answers, sizes };
}

export async function signedIn(options, place = "overview", key = stack.admin_key) {
  const opened = await tab(options);
  await opened.page.goto(address(place, key));
  await settled(opened.page);
  return opened;
}

/** Another page in the same tab, without loading the console again. */
export async function visit(page, place) {
  await page.evaluate((target) => {
    history.pushState(null, "", target);
    dispatchEvent(new PopStateEvent("popstate"));
    // The page is drawn, and its effects ran, after two frames.
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
  }, address(place));
  await settled(page);
}

export function address(place, key) {
  const [page, query = ""] = place.split("?");
  const fields = new URLSearchParams(query);
  if (!fields.has("account")) fields.set("account", account);
  return `${base}/console/${page}?${fields}${key ? `#key=${key}` : ""}`;
}

/** Somebody is signed in, and the page of the address shows its data: a heading, nothing that loads,
 * and each chart drawn. The console renders a change of its state in the same task, so that no page of
 * a former address is taken for the present one. */
export async function settled(page) {
  await page.waitForFunction(() => {
    const charts = [...document.querySelectorAll("figure.chart")];
    return document.querySelector(".shell main h1") && !document.querySelector(".skeleton, .is-stale") && charts.every((each) => each.querySelector("canvas"));
  });
}

export const heading = (page, text) => page.waitForSelector(`.shell main h1:text-is(${JSON.stringify(text)})`);

export async function send(method, path, body, headers = {}) {
  const answer = await fetch(base + path, {
    method,
    headers: { authorization: `Bearer ${stack.admin_key}`, ...(body ? { "content-type": "application/json" } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
}

export const api = async (path) => {
  const { status, body } = await send("GET", `/api/v1${path}`);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
};

/** A signed post of the bridge (Standard Webhooks). */
export async function post(path, body) {
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

/** Waits until `read` gives what `expected` is, or gives; fails with the difference. */
export async function becomes(read, expected, about = `${read}`) {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const [found, wanted] = [await read(), typeof expected === "function" ? await expected() : expected];
    if (isDeepStrictEqual(found, wanted)) return;
    if (Date.now() > deadline) assert.deepEqual(found, wanted, about);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const count = (page, selector) => page.locator(selector).count();
export const value = (page, selector) => page.locator(selector).first().getAttribute("value");
export const closed = (page) => page.waitForSelector("dialog", { state: "detached" });

export async function findings(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map((each) => `${each.id}: ${each.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ").slice(0, 400)}`);
}

/** Every figure of money on the page: its value, and what is shown. */
export const figures = (page) => page.$$eval("data.money", (found) => found.map((each) => [each.value, each.firstChild && [...each.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent).join("")]));

/** Every count, duration and number of minutes on the page, as it is shown. */
export const counts = (page) =>
  page.$$eval("td.right, .stat dd:not(.note), .facts dd, .chips b", (found) => found.filter((each) => !each.querySelector("data")).map((each) => each.textContent.trim())).then((texts) => texts.filter((text) => /^\d[\d,]*( min)?$|^\d+:\d\d(:\d\d)?$/.test(text)));

/** The numbers in documents of the API, the lengths of its lists, and the sums of its objects, as the
 * console shows them: as counts, minutes and durations. */
export function numbers(value, found = new Set()) {
  const two = (part) => String(part).padStart(2, "0");
  const add = (number) => {
    found.add(number.toLocaleString("en")).add(`${Math.round(number / 60).toLocaleString("en")} min`);
    const [hours, minutes, seconds] = [Math.floor(number / 3600), Math.floor(number / 60) % 60, number % 60];
    found.add(hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`);
  };
  if (typeof value === "number") add(value);
  else if (value && typeof value === "object") {
    const parts = Object.values(value);
    if (Array.isArray(value)) add(parts.length);
    else if (parts.every((each) => typeof each === "number")) add(parts.reduce((all, each) => all + each, 0));
    for (const each of parts) numbers(each, found);
  }
  return found;
}

export function plain(shown) {
  return shown.replace("\u2212", "-").replace(/^\+/, "").replaceAll(",", "");
}

export function strings(value, found = new Set()) {
  if (typeof value === "string") found.add(value);
  else if (value && typeof value === "object") for (const each of Object.values(value)) strings(each, found);
  return found;
}

export function padded(value) {
  const [whole, decimals = ""] = value.split(".");
  return `${whole}.${decimals.padEnd(2, "0")}`;
}
