/** Texts: English in the code, French in `fr.ts`, which is loaded when it is chosen. */
import { remember, remembered } from "./remembered";

export type Language = "en" | "fr";
type Values = Record<string, string | number>;
let texts: Record<string, string> = {};
let current: Language = "en";

export function language(): Language {
  return current;
}

/** The text in the chosen language; `{name}` stands for a value. */
export function t(text: string, values: Values = {}): string {
  const found = texts[text] ?? text;
  return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A count with its noun: `one` for 1 (in French for 0, too), else `many`; `{n}` is the count. */
export function counted(count: number, one: string, many: string, values: Values = {}): string {
  const isOne = new Intl.PluralRules(current).select(count) === "one";
  return t(isOne ? one : many, { ...values, n: count.toLocaleString(current) });
}

export async function choose(wanted: Language): Promise<void> {
  try {
    texts = wanted === "fr" ? (await import("./fr")).default : {};
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
