/** Every text of the console has a French one, no more and no less, with the same values. A text
 * with a count and its plural is one of `counted`, beside the singular. */
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../src/", import.meta.url);
const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".tsx") || name.endsWith(".ts"));
const used = new Set();
const plurals = new Set();
for (const name of files) {
  if (name === "fr.ts") continue;
  const source = readFileSync(new URL(name, folder), "utf8");
  for (const [, text] of source.matchAll(/\bt\(\s*"((?:[^"\\]|\\.)*)"/g)) used.add(JSON.parse(`"${text}"`));
  for (const [, one, many] of source.matchAll(/\bcounted\([^"]*?, "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"/g)) for (const text of [one, many]) used.add(JSON.parse(`"${text}"`)), plurals.add(text);
  for (const [, text] of source.matchAll(/title: "([^"]+)", needsAccount/g)) used.add(text);
}
const french = readFileSync(new URL("fr.ts", folder), "utf8");
const [pages, codes] = french.split("const codes");
const read = (text) => new Map([...text.matchAll(/^ {2}(?:"((?:[^"\\]|\\.)*)"|(\w+)): "((?:[^"\\]|\\.)*)",$/gm)].map((each) => [each[1] === undefined ? each[2] : JSON.parse(`"${each[1]}"`), JSON.parse(`"${each[3]}"`)]));
const texts = read(pages);
const named = read(codes ?? "");
const wrong = [];
for (const text of used) if (!texts.has(text) && !named.has(text)) wrong.push(`no French: ${text}`);
for (const text of texts.keys()) if (!used.has(text)) wrong.push(`not used: ${text}`);
for (const text of used) if (/\{n\} (?:\w+ ){0,2}?\w{3,}s\b/.test(text) && !plurals.has(text)) wrong.push(`a plural without its singular: ${text}`);
const values = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort().join();
for (const [text, translated] of texts) if (values(text) !== values(translated)) wrong.push(`other values: ${text}`);
if (process.argv[2] === "list") console.log([...used].filter((text) => !texts.has(text)).map((text) => JSON.stringify(text)).join("\n"));
else if (wrong.length) {
  console.error(wrong.join("\n"));
  process.exit(1);
}
