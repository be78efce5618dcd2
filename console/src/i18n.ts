/** Texts: English in the code, French in `fr.ts`, which is loaded when it is chosen. */
import { remember, remembered } from "./remembered";

export type Language = "en" | "fr";
type Values = Record<string, string | number>;
let texts: Record<string, string> = {};
let sentences: [RegExp, string][] = [];
let current: Language = "en";

export function language(): Language {
  return current;
}

/** The text in the chosen language; `{name}` stands for a value. */
export function t(text: string, values: Values = {}): string {
  const found = (Object.hasOwn(texts, text) && texts[text]) || text;
  return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A sentence of the API in the chosen language, with the values that it has. A sentence without a
 * French text stays as it is. */
export const sentence = (text: string | null | undefined): string => said(text) ?? t(text ?? "");

function said(text: string | null | undefined): string | undefined {
  for (const [english, translated] of sentences) {
    const found = english.exec(text ?? "");
    if (found) return translated.replace(/\{(\w+)\}/g, (_, name: string) => said(found.groups?.[name]) ?? found.groups?.[name] ?? "");
  }
  return undefined;
}

/** The expression of a text, whose `{name}` are any values. */
const pattern = (text: string): RegExp => new RegExp(`^${text.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`);

/** A count with its noun: `one` for 1 (in French for 0, too), else `many`; `{n}` is the count. */
export function counted(count: number, one: string, many: string, values: Values = {}): string {
  const isOne = new Intl.PluralRules(current).select(count) === "one";
  return t(isOne ? one : many, { ...values, n: count.toLocaleString(current) });
}

export async function choose(wanted: Language): Promise<void> {
  try {
    const french = wanted === "fr" ? await import("./fr") : undefined;
    texts = french?.default ?? {};
    sentences = Object.entries(french?.sentences ?? {}).map(([english, translated]) => [pattern(english), translated]);
  } catch {
    return; // a later version was deployed: the present language stays
  }
  current = wanted;
  document.documentElement.lang = wanted;
  remember("language", wanted);
}

export function preferred(): Language {
  const stored = remembered("language");
  if (stored === "en" || stored === "fr") return stored;
  return navigator.language.toLowerCase().startsWith("fr") ? "fr" : "en";
}
