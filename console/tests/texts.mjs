/** Every text of the console has a French one, no more and no less, with the same values. A text
 * with a count and its plural is one of `counted`, beside the singular. */
import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";

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

// No text of a page is outside of t().
const ATTRIBUTES = new Set(["label", "title", "hint", "alt", "aria-label", "placeholder", "caption", "empty", "about", "submit", "note"]);
const NAMES = new Set(["Perminute", "VoIP", "Français", "English", "FR", "late", "CU, KP"]);
const JOINS = new Set(["&&", "||", "??", "+"]);
const isText = (text) => /\p{L}{2}/u.test(text) && !NAMES.has(text.trim());
for (const name of files.filter((each) => each.endsWith(".tsx"))) {
  const source = ts.createSourceFile(name, readFileSync(new URL(name, folder), "utf8"), ts.ScriptTarget.ES2022, true, ts.ScriptKind.TSX);
  const report = (node, text) => wrong.push(`${name}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}: not translated: ${text.trim()}`);
  const literal = (node) => {
    if (ts.isStringLiteralLike(node) && isText(node.text)) report(node, node.text);
    else if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(literal);
    else if (ts.isBinaryExpression(node) && JOINS.has(node.operatorToken.getText())) literal(node.right);
    else if (ts.isParenthesizedExpression(node)) literal(node.expression);
  };
  const walk = (node) => {
    if (ts.isJsxText(node) && isText(node.text)) report(node, node.text);
    else if (ts.isJsxAttribute(node) && ATTRIBUTES.has(node.name.getText()) && node.initializer) literal(ts.isJsxExpression(node.initializer) ? (node.initializer.expression ?? node.initializer) : node.initializer);
    else if (ts.isJsxExpression(node) && !ts.isJsxAttribute(node.parent) && node.expression) literal(node.expression);
    else if (ts.isCallExpression(node) && node.expression.getText() === "notify") node.arguments.forEach(literal);
    else if (ts.isPropertyAssignment(node) && node.name.getText() === "name" && ts.isStringLiteralLike(node.initializer) && /^\p{Lu}/u.test(node.initializer.text)) literal(node.initializer);
    ts.forEachChild(node, walk);
  };
  walk(source);
}
if (process.argv[2] === "list") console.log([...used].filter((text) => !texts.has(text)).map((text) => JSON.stringify(text)).join("\n"));
else if (wrong.length) {
  console.error(wrong.join("\n"));
  process.exit(1);
}
